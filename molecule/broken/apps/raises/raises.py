raise RuntimeError("the reason stands at the end of the traceback")
