package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// An order is what the body of a request says: who asks, and what the handler
// is to do. The rest of the body is padding.
type order struct {
	Key      string        `json:"key"`
	Work     time.Duration `json:"work"` // how long the handler takes
	Once     bool          `json:"once"` // the request is at most once
	Progress bool          `json:"progress"`
}

// encode makes the body of a request.
func (o order) encode(padding []byte) []byte {
	line, err := json.Marshal(o)
	if err != nil {
		panic(err) // it has no field that could fail
	}
	return append(append(line, '\n'), padding...)
}

func decode(body []byte) (o order, err error) {
	line, _, ok := bytes.Cut(body, []byte("\n"))
	if !ok {
		return o, fmt.Errorf("a body of %d bytes without a first line", len(body))
	}
	return o, json.Unmarshal(line, &o)
}

// digest is the part of the reply that the body decides; the id follows it.
func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
