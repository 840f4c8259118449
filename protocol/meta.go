package protocol

import (
	"iter"
	"unicode/utf8"
)

// Meta is the run of end-to-end extension fields of a message, encoded: user
// headers, trace context, the text and code of an error. The broker hands it
// on without reading it. The zero value is empty and ready to use.
type Meta []byte

// End-to-end field types.
const (
	MetaHeader    = 128 // one user header: key length (1 byte), key, value
	MetaTrace     = 129 // W3C traceparent
	MetaErrorText = 130 // human-readable message of an outcome ≠ OK
	MetaErrorCode = 131 // the handler's own code of a FAILED outcome
)

// HeaderKeyBytesMax bounds the key of a user header.
const HeaderKeyBytesMax = 255

// Bounds of the values of an error, so that its REPLY fits whatever a handler
// returned. Append cuts them there, and a text that was cut ends with "…".
const (
	ErrorTextBytesMax = 4096
	ErrorCodeBytesMax = 255
)

// Append returns m with one more field; typ is at least 128. An error's text
// or code over its bound is cut, between two characters, and so is any value
// over 65,535 bytes. A Meta over MetaBytesMax is refused by every peer: who
// adds what a user gave checks its length.
func (m Meta) Append(typ byte, value string) Meta {
	switch typ {
	case MetaErrorText:
		value = cutText(value, ErrorTextBytesMax)
	case MetaErrorCode:
		value = cut(value, ErrorCodeBytesMax)
	default:
		value = cut(value, 0xffff)
	}
	return append(Meta(appendField(m, typ, len(value))), value...)
}

// AppendHeader returns m with one more user header. A key over 255 bytes is
// cut, and a value that would take the field over 65,535.
func (m Meta) AppendHeader(key, value string) Meta {
	if len(key) > HeaderKeyBytesMax {
		key = key[:HeaderKeyBytesMax]
	}
	if over := 1 + len(key) + len(value) - 0xffff; over > 0 {
		value = value[:len(value)-over]
	}
	m = Meta(appendField(m, MetaHeader, 1+len(key)+len(value)))
	m = append(m, byte(len(key)))
	return append(append(m, key...), value...)
}

// cutText is s with at most limit bytes, the last of them a mark if it was longer.
func cutText(s string, limit int) string {
	const mark = "…"
	if len(s) <= limit {
		return s
	}
	return cut(s, limit-len(mark)) + mark
}

// cut returns the first limit bytes of s, or up to three fewer so that no
// character is parted.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for n := limit; n > limit-utf8.UTFMax; n-- {
		if utf8.RuneStart(s[n]) {
			return s[:n]
		}
	}
	return s[:limit]
}

// Fields yields each field's type and value, in order. The values alias m.
func (m Meta) Fields() iter.Seq2[byte, []byte] {
	return func(yield func(byte, []byte) bool) {
		for b := []byte(m); len(b) >= 3; {
			n := int(b[1])<<8 | int(b[2])
			if len(b) < 3+n || !yield(b[0], b[3:3+n:3+n]) {
				return
			}
			b = b[3+n:]
		}
	}
}

// Get returns the first field of type typ, "" if there is none.
func (m Meta) Get(typ byte) string {
	for t, v := range m.Fields() {
		if t == typ {
			return string(v)
		}
	}
	return ""
}

// Headers yields the user headers in order.
func (m Meta) Headers() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for t, v := range m.Fields() {
			if t != MetaHeader || len(v) == 0 || len(v) < 1+int(v[0]) {
				continue
			}
			k := 1 + int(v[0])
			if !yield(string(v[1:k]), string(v[k:])) {
				return
			}
		}
	}
}

// ErrorOnly returns the text and code of the error that m tells, and nothing else.
// The text is followed by note, and cut before it if need be. It is never over
// MetaBytesMax.
func (m Meta) ErrorOnly(note string) (rest Meta) {
	note = cutText(note, ErrorTextBytesMax/2)
	rest = ErrorMeta(cutText(m.Get(MetaErrorText), ErrorTextBytesMax-len(note)) + note)
	if code := m.Get(MetaErrorCode); code != "" {
		rest = rest.Append(MetaErrorCode, code)
	}
	return rest
}

// ErrorMeta is the Meta of an error made on the way: just its text.
func ErrorMeta(text string) Meta {
	if text == "" {
		return nil
	}
	return Meta(nil).Append(MetaErrorText, text)
}
