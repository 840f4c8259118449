// Package codec turns values into bodies and back, for the typed faces of the
// packages worker and client. Nothing here panics, whatever a codec does.
package codec

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Header is the key of the user header that says how a body is written.
const Header = "content-type"

// A Codec writes values as bytes and reads them back. It must be safe for
// concurrent use. Marshal's bytes are the caller's; Unmarshal must not keep
// those it is given.
type Codec interface {
	Marshal(v any) ([]byte, error)
	// Unmarshal fills what v points to.
	Unmarshal(data []byte, v any) error
	// ContentType names the form, such as application/json. It goes along as the
	// header "content-type"; what is sent as something else is not read. Empty: no
	// header, and anything is read.
	ContentType() string
}

// JSON is the codec of encoding/json.
type JSON struct{}

// Marshal is json.Marshal.
func (JSON) Marshal(v any) ([]byte, error) { return json.Marshal(v) }

// Unmarshal is json.Unmarshal.
func (JSON) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// ContentType is application/json.
func (JSON) ContentType() string { return "application/json" }

// Or is c, or JSON where c is nil.
func Or(c Codec) Codec {
	if c == nil {
		return JSON{}
	}
	return c
}

// Encode returns v as c writes it, and the content type.
func Encode(c Codec, v any) (body []byte, contentType string, err error) {
	defer func() {
		if p := recover(); p != nil {
			body, err = nil, fmt.Errorf("the codec panicked: %v", p)
		}
		if err != nil {
			err = fmt.Errorf("a value of type %T cannot be encoded: %w", v, err)
		}
	}()
	contentType = c.ContentType()
	body, err = c.Marshal(v)
	return body, contentType, err
}

// quoteMax is how much of a body an error shows.
const quoteMax = 40

// Decode reads the one frame that a value is. sent is the content type that came
// with it, empty where none did.
func Decode[T any](c Codec, frames [][]byte, sent string) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the codec panicked: %v", p)
		}
	}()
	if len(frames) != 1 {
		return v, fmt.Errorf("%d frames; a value is one", len(frames))
	}
	if own := c.ContentType(); own != "" && sent != "" && !same(own, sent) {
		return v, fmt.Errorf("it is sent as %.100q, and %s is read here", sent, own)
	}
	if err := c.Unmarshal(frames[0], &v); err != nil {
		return v, fmt.Errorf("%s cannot be decoded as %T: %w", quote(frames[0]), v, err)
	}
	return v, nil
}

func quote(body []byte) string {
	if len(body) <= quoteMax {
		return fmt.Sprintf("%q", body)
	}
	return fmt.Sprintf("%q… (%d bytes)", body[:quoteMax], len(body))
}

// same compares media types without their parameters.
func same(a, b string) bool {
	a, _, _ = strings.Cut(a, ";")
	b, _, _ = strings.Cut(b, ";")
	return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
}
