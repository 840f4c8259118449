package doctor

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// ZMTP 3, as far as a DEALER without keys needs it (RFC 23, RFC 37).

const (
	greetingBytes  = 64
	signatureBytes = 10
	mechanismAt    = 12
	mechanismBytes = 20
)

// The flags of a frame.
const (
	flagMore    = 1
	flagLong    = 2
	flagCommand = 4
)

// What is kept of a message; the rest of its bytes is read and dropped.
const (
	keptBytesMax  = 1 << 20
	frameBytesMax = 1 << 40 // beyond that it is no frame
	framesMax     = 2048
)

// A greeting is what a peer says first.
type greeting struct {
	major, minor byte
	mechanism    string
}

// ourGreeting is that of a ZMTP 3.0 peer without keys.
func ourGreeting() []byte {
	g := make([]byte, greetingBytes)
	g[0], g[8], g[9], g[10] = 0xff, 1, 0x7f, 3
	copy(g[mechanismAt:], "NULL")
	return g
}

// mechanismOf reads the name out of a whole greeting.
func mechanismOf(g []byte) string {
	return strings.TrimRight(string(g[mechanismAt:mechanismAt+mechanismBytes]), "\x00")
}

// A wire is a connection after the greeting.
type wire struct {
	conn net.Conn
	r    *bufio.Reader
}

// frame reads one frame, before end, and keeps the first bytes of it.
func (w *wire) frame(end time.Time, keep int) (flags byte, body []byte, err error) {
	if err := w.conn.SetReadDeadline(end); err != nil {
		return 0, nil, err
	}
	if flags, err = w.r.ReadByte(); err != nil {
		return 0, nil, err
	}
	size := make([]byte, 8)
	n := 1
	if flags&flagLong != 0 {
		n = 8
	}
	if _, err := io.ReadFull(w.r, size[8-n:]); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint64(size)
	if flags&^(flagMore|flagLong|flagCommand) != 0 || length > frameBytesMax {
		return 0, nil, fmt.Errorf("what follows the greeting is no ZMTP frame (flags %#x, %d bytes)", flags, length)
	}
	body = make([]byte, min(length, uint64(keep)))
	if _, err = io.ReadFull(w.r, body); err == nil {
		_, err = io.CopyN(io.Discard, w.r, int64(length)-int64(len(body)))
	}
	return flags, body, err
}

// command reads frames up to the next command.
func (w *wire) command(end time.Time) (name string, data []byte, err error) {
	flags, body, err := w.frame(end, keptBytesMax)
	if err != nil {
		return "", nil, err
	}
	if flags&flagCommand == 0 {
		return "", nil, errors.New("a message came where ZMTP has its READY")
	}
	return nameOf(body)
}

func nameOf(body []byte) (name string, data []byte, err error) {
	if len(body) == 0 || len(body) < 1+int(body[0]) {
		return "", nil, errors.New("a ZMTP command without a name")
	}
	n := 1 + int(body[0])
	return string(body[1:n]), body[n:], nil
}

// message reads one message, and answers the PINGs before it.
func (w *wire) message(end time.Time) (frames [][]byte, err error) {
	for keep := keptBytesMax; ; {
		flags, body, err := w.frame(end, keep)
		switch {
		case err != nil:
			return nil, err
		case flags&flagCommand != 0:
			if name, data, err := nameOf(body); err == nil && name == "PING" && len(data) >= 2 {
				if err := w.sendCommand("PONG", data[2:]); err != nil {
					return nil, err
				}
			}
			continue
		case len(frames) == framesMax:
			return nil, fmt.Errorf("a message of more than %d frames", framesMax)
		}
		frames, keep = append(frames, body), keep-len(body)
		if flags&flagMore == 0 {
			return frames, nil
		}
	}
}

func (w *wire) send(frames ...[]byte) error {
	var b []byte
	for i, f := range frames {
		flags := byte(0)
		if i < len(frames)-1 {
			flags = flagMore
		}
		b = appendFrame(b, flags, f)
	}
	return w.write(b)
}

func (w *wire) sendCommand(name string, data []byte) error {
	return w.write(appendFrame(nil, flagCommand, append(append([]byte{byte(len(name))}, name...), data...)))
}

// write does not block for long: what is sent here fits into any buffer.
func (w *wire) write(b []byte) error {
	if err := w.conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	_, err := w.conn.Write(b)
	return err
}

func appendFrame(b []byte, flags byte, body []byte) []byte {
	if len(body) > 255 {
		b = binary.BigEndian.AppendUint64(append(b, flags|flagLong), uint64(len(body)))
	} else {
		b = append(b, flags, byte(len(body)))
	}
	return append(b, body...)
}

// appendProperty appends one property of READY.
func appendProperty(b []byte, name, value string) []byte {
	b = append(append(b, byte(len(name))), name...)
	return append(binary.BigEndian.AppendUint32(b, uint32(len(value))), value...)
}

// properties reads those of READY. Names do not depend on case.
func properties(b []byte) map[string]string {
	all := make(map[string]string)
	for len(b) > 0 {
		n := 1 + int(b[0])
		if len(b) < n+4 {
			break
		}
		name, size := strings.ToLower(string(b[1:n])), uint64(binary.BigEndian.Uint32(b[n:]))
		if b = b[n+4:]; uint64(len(b)) < size {
			break
		}
		all[name], b = string(b[:size]), b[size:]
	}
	return all
}

// number is a random number that is not 0.
func number() uint64 { return binary.BigEndian.Uint64(random(8)) | 1 }

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	b[0] |= 1           // a routing id does not begin with 0
	return b
}
