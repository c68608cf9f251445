/* Three plugins in one process (tests/unit/common/three.h): for several.sh and the tests on a real
 * Kong. */
#include "three.h"

int main(int argc, char **argv) {
    return kong_main_plugins(argc, argv, three_plugins, 3);
}
