/* The module `fishjam_agents.audio._native`: compiled twins of classes of `fishjam_agents.audio`. */
#include "native.h"

static int
execute(PyObject *module)
{
    /* Of which sources this was built: `fishjam_agents.audio.compiled` refuses what is stale. */
    if (PyModule_AddStringConstant(module, "SOURCES", NATIVE_SOURCES) < 0) {
        return -1;
    }
    if (add_detector(module) < 0) {
        return -1;
    }
    if (add_echo_guard(module) < 0) {
        return -1;
    }
    return add_echo_sound(module);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)execute},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "fishjam_agents.audio._native",
    .m_doc = "Compiled twins of classes of fishjam_agents.audio: see fishjam_agents.audio.compiled.",
    .m_size = 0,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
