/* The type `EchoGuard`. */
#include "native.h"

int
add_echo_guard(PyObject *module)
{
    (void)module;
    return 0;
}
