package zmtp

import "fmt"

// A Mechanism is one side of a security handshake: the commands that go in and
// out after the greeting, and what frames go through afterwards. A value serves
// one connection.
type Mechanism interface {
	// Name is what the greeting says, at most 20 bytes.
	Name() string
	// Server is the greeting's as-server.
	Server() bool
	// Start appends the command with which the connecting side begins.
	Start(dst, metadata []byte) []byte
	// Receive takes a command of the peer, and appends the answer if the
	// mechanism has one. done: the peer's metadata is there, a part of data.
	Receive(dst []byte, name string, data []byte) (_, metadata []byte, done bool, err error)
	// Ready appends the command that ends the handshake on the binding side,
	// once the peer's metadata was found good.
	Ready(dst, metadata []byte) []byte
	// Transform is asked for after the handshake; nil: frames are as they are.
	Transform() Transform
}

// A Transform is what each frame goes through on a connection whose mechanism
// protects it. Flags are those of AppendHeader.
type Transform interface {
	// Seal appends the body of the frame that carries body.
	Seal(dst []byte, flags byte, body []byte) []byte
	// Open undoes Seal; it may write over sealed, and body may be a part of it.
	Open(sealed []byte) (flags byte, body []byte, err error)
	// Overhead is by how much Seal lengthens, in bytes.
	Overhead() int
}

// Null is the mechanism that protects nothing (RFC 23).
type Null struct{}

const nullName = "NULL"

// Name implements Mechanism.
func (Null) Name() string { return nullName }

// Server implements Mechanism: NULL knows no server.
func (Null) Server() bool { return false }

// Start implements Mechanism.
func (Null) Start(dst, metadata []byte) []byte { return AppendCommand(dst, "READY", metadata) }

// Receive implements Mechanism.
func (Null) Receive(dst []byte, name string, data []byte) (_, metadata []byte, done bool, err error) {
	if name != "READY" {
		return dst, nil, false, fmt.Errorf("command %q within a NULL handshake", name)
	}
	return dst, data, true, nil
}

// Ready implements Mechanism.
func (Null) Ready(dst, metadata []byte) []byte { return AppendCommand(dst, "READY", metadata) }

// Transform implements Mechanism.
func (Null) Transform() Transform { return nil }
