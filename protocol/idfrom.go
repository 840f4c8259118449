package protocol

import (
	"crypto/sha256"
	"encoding/binary"
)

// IDFrom makes the id of a request from a key of its caller's: the same namespace and
// key always give the same id, others another, whatever they are split into. So whoever
// asks again after it has lost everything but the key joins the run, or gets its
// outcome, for as long as a broker remembers the id.
//
// It is a UUID of version 8: the first bytes of the SHA-256 of the namespace's length,
// in 8 bytes, most significant first, of the namespace, and of the key.
func IDFrom(namespace, key string) ID {
	text := binary.BigEndian.AppendUint64(nil, uint64(len(namespace)))
	text = append(append(text, namespace...), key...)
	sum := sha256.Sum256(text)
	id := ID(sum[:16])
	id[6] = id[6]&0x0f | 0x80 // version 8: of one's own
	id[8] = id[8]&0x3f | 0x80 // variant of RFC 9562
	return id
}
