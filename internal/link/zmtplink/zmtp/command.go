package zmtp

import (
	"encoding/binary"
	"fmt"
)

// What commands may be, within a handshake and after it. libzmq's are below
// 400 bytes; CURVE's below 600 and what metadata takes.
const (
	commandBytesMax   = 2048
	propertiesMax     = 64
	identityBytesMax  = 255
	pingContextMax    = 16
	handshakeCommands = 8 // of one handshake
)

const (
	propertySocketType = "Socket-Type"
	propertyIdentity   = "Identity"
)

// AppendCommand appends a command frame.
func AppendCommand(dst []byte, name string, data ...[]byte) []byte {
	size := 1 + len(name)
	for _, d := range data {
		size += len(d)
	}
	dst = AppendHeader(dst, flagCommand, size)
	dst = append(dst, byte(len(name)))
	dst = append(dst, name...)
	for _, d := range data {
		dst = append(dst, d...)
	}
	return dst
}

// splitCommand takes the body of a command frame apart.
func splitCommand(body []byte) (name string, data []byte, ok bool) {
	if len(body) == 0 || body[0] == 0 || len(body) < 1+int(body[0]) {
		return "", nil, false
	}
	n := 1 + int(body[0])
	return string(body[1:n]), body[n:], true
}

// appendProperty appends one property of metadata.
func appendProperty(dst []byte, name string, value []byte) []byte {
	dst = append(dst, byte(len(name)))
	dst = append(dst, name...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(value)))
	return append(dst, value...)
}

// readMetadata finds what is needed of a peer's metadata. The identity is a
// part of data.
func readMetadata(data []byte) (socketType string, identity []byte, err error) {
	for n := 0; len(data) > 0; n++ {
		if n == propertiesMax {
			return "", nil, fmt.Errorf("metadata of more than %d properties", propertiesMax)
		}
		nameEnd := 1 + int(data[0])
		if nameEnd == 1 || len(data) < nameEnd+4 {
			return "", nil, fmt.Errorf("property %d of the metadata is cut short", n+1)
		}
		name := data[1:nameEnd]
		size := uint64(binary.BigEndian.Uint32(data[nameEnd:]))
		data = data[nameEnd+4:]
		if size > uint64(len(data)) {
			return "", nil, fmt.Errorf("property %d of the metadata claims %d bytes of %d", n+1, size, len(data))
		}
		value := data[:size]
		data = data[size:]
		switch {
		case equalFold(name, propertySocketType):
			socketType = string(value)
		case equalFold(name, propertyIdentity):
			identity = value
		}
	}
	return socketType, identity, nil
}

// equalFold compares ASCII names whatever their case, as RFC 23 asks for.
func equalFold(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// errorReason is the text of an ERROR command, made printable.
func errorReason(data []byte) string {
	if len(data) == 0 || int(data[0]) > len(data)-1 {
		return "without a reason"
	}
	return fmt.Sprintf("%q", data[1:1+int(data[0])])
}
