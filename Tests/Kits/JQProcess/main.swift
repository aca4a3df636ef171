import CJQ
import Glibc

// A worker as the program is one when it is told to be, for tests that do not build the program.
exit(apus_jq_serve(STDOUT_FILENO, 256 << 20, 1 << 20))
