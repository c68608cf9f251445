/* Three plugins in one process (tests/unit/common/three.h): for several.sh and the tests on a real
 * Kong. THREE_PROTOCOL=any: the third one does not need MsgPack:1. */
#include <stdlib.h>

#include "three.h"

int main(int argc, char **argv) {
    struct kong_plugin third = *three_plugins[2];
    const struct kong_plugin *const plugins[] = {three_plugins[0], three_plugins[1], &third};
    if (getenv("THREE_PROTOCOL") != NULL) {
        third.protocol = KONG_PROTOCOL_ANY;
    }
    return kong_main_plugins(argc, argv, plugins, 3);
}
