// Package testdata has the vectors of docs/protocol.md in it, for the command
// that prints them.
package testdata

import _ "embed"

// JSON is vectors.json. Who reads it must not change it.
//
//go:embed vectors.json
var JSON []byte
