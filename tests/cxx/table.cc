#include "rows.h"

extern "C" const kong_schema *schema_of_cxx();
extern "C" const kong_schema *schema_of_cxx() {
    return &schema;
}
