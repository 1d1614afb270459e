/* The type `Detector`. */
#include "native.h"

int
add_detector(PyObject *module)
{
    (void)module;
    return 0;
}
