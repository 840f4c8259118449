package main

// #cgo pkg-config: libzmq
// #cgo CFLAGS: -O2 -Wall
// #include <stdlib.h>
// #include "load.h"
import "C"

import (
	"errors"
	"slices"
	"time"
	"unsafe"
)

// The dialects of load.h.
const (
	raw  = C.RAW
	prv1 = C.PRV1
	ppp  = C.PPP
)

// clientsConfig and workersConfig are struct clients and struct workers of load.h.
type clientsConfig struct {
	Endpoint, Service string
	Dialect           int
	REQ               bool
	Sockets, Window   int
	Priority          int
	Body              int
	Deadline          time.Duration
	Warmup, Measured  time.Duration
}

type workersConfig struct {
	Endpoint, Service string
	Dialect           int
	Sockets, Credit   int
	For               time.Duration
}

// control is the descriptor on which a child tells how far it is.
const control = 3

// runClients measures. It blocks until the last answer is there.
func runClients(c *clientsConfig) (load, error) {
	endpoint, service := C.CString(c.Endpoint), C.CString(c.Service)
	defer C.free(unsafe.Pointer(endpoint))
	defer C.free(unsafe.Pointer(service))
	x := C.struct_clients{
		endpoint: endpoint, service: service, dialect: C.int(c.Dialect), req: number(c.REQ),
		sockets: C.int(c.Sockets), window: C.int(c.Window), priority: C.int(c.Priority),
		body: C.size_t(c.Body), deadline_ms: C.uint32_t(c.Deadline / time.Millisecond),
		warmup: C.double(c.Warmup.Seconds()), seconds: C.double(c.Measured.Seconds()), control: control,
	}
	if C.run_clients(&x) != 0 {
		return load{}, errors.New(C.GoString(&x.error[0]))
	}
	defer C.free(unsafe.Pointer(x.latencies))
	l := load{Done: uint64(x.done), Failed: uint64(x.failed), Lost: uint64(x.lost), Seconds: float64(x.took), Error: C.GoString(&x.error[0])}
	if x.latencies_len > 0 {
		l.summarise(slices.Clone(unsafe.Slice((*uint64)(unsafe.Pointer(x.latencies)), int(x.latencies_len))))
	}
	return l, nil
}

func runWorkers(c *workersConfig) error {
	endpoint, service := C.CString(c.Endpoint), C.CString(c.Service)
	defer C.free(unsafe.Pointer(endpoint))
	defer C.free(unsafe.Pointer(service))
	x := C.struct_workers{
		endpoint: endpoint, service: service, dialect: C.int(c.Dialect),
		sockets: C.int(c.Sockets), credit: C.int(c.Credit), seconds: C.double(c.For.Seconds()), control: control,
	}
	if C.run_workers(&x) != 0 {
		return errors.New(C.GoString(&x.error[0]))
	}
	return nil
}

func runEcho(endpoint string, d time.Duration) error {
	e := C.CString(endpoint)
	defer C.free(unsafe.Pointer(e))
	x := C.struct_echo{endpoint: e, seconds: C.double(d.Seconds())}
	if C.run_echo(&x) != 0 {
		return errors.New(C.GoString(&x.error[0]))
	}
	return nil
}

func runGuideC(frontend, backend string) error {
	f, b := C.CString(frontend), C.CString(backend)
	defer C.free(unsafe.Pointer(f))
	defer C.free(unsafe.Pointer(b))
	var text [200]C.char
	C.run_guide_queue(f, b, &text[0])
	return errors.New(C.GoString(&text[0]))
}

func number(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
