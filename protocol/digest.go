package protocol

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// Digest is a 64-bit digest (XXH64) of what a request asks for: its service,
// whether it is at-most-once or may be answered in parts, and its frames with their boundaries. The id
// seeds it, so equal digests say nothing across ids, and a restarted broker
// computes the same. It tells an honest retry from a reused id; it is no
// defence against a client that forges its own ids.
func Digest(id ID, service []byte, flags Flags, body [][]byte) uint64 {
	be := binary.BigEndian
	d := xxhash.NewWithSeed(be.Uint64(id[0:]) ^ be.Uint64(id[8:]))
	var b [12]byte
	be.PutUint16(b[0:], uint16(flags&(AtMostOnce|Partial)))
	be.PutUint32(b[2:], uint32(len(service)))
	be.PutUint32(b[6:], uint32(len(body)))
	d.Write(b[:10])
	d.Write(service)
	for _, f := range body {
		be.PutUint64(b[:8], uint64(len(f)))
		d.Write(b[:8])
		d.Write(f)
	}
	return d.Sum64()
}
