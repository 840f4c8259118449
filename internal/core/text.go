package core

import (
	"encoding/binary"
	"strconv"

	"github.com/privateer-mq/privateer/protocol"
)

func itoa(n int) string { return strconv.Itoa(n) }

// sizeText writes a number of bytes as people read it.
func sizeText(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.FormatInt(n>>20, 10) + " MiB"
	case n >= 1<<10 && n%(1<<10) == 0:
		return strconv.FormatInt(n>>10, 10) + " KiB"
	}
	return strconv.FormatInt(n, 10) + " bytes"
}

func bodyBytes(body [][]byte) (n int64) {
	for _, f := range body {
		n += int64(len(f))
	}
	return n
}

// mix is a well-spread number made of an id: jitter without randomness.
func mix(id protocol.ID, salt uint64) uint64 {
	x := binary.BigEndian.Uint64(id[:]) ^ binary.BigEndian.Uint64(id[8:])*0x9e3779b97f4a7c15 ^ salt
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
