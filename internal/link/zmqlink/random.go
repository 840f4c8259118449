package zmqlink

// #include <stdlib.h>
import "C"

import "math/rand/v2"

// seeded draws a seed.
var seeded = rand.Uint32

// seedRandom seeds the C library's random numbers.
func seedRandom() { C.srand(C.uint(seeded())) }
