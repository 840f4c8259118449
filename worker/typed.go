package worker

import (
	"context"
	"fmt"
	"iter"

	"github.com/privateer-mq/privateer/internal/codec"
)

// A Codec writes values as bodies and reads them back; Handle and HandleStream take one.
// It must be safe for concurrent use. Marshal's bytes are the caller's; Unmarshal
// must not keep those it is given. One that panics counts as one that fails. The
// packages client and worker take the same.
type Codec interface {
	// Marshal writes v.
	Marshal(v any) ([]byte, error)
	// Unmarshal fills what v points to.
	Unmarshal(data []byte, v any) error
	// ContentType names the form, such as application/json. It goes along as the
	// header "content-type"; what is sent as something else is not read. Empty: no
	// header, and anything is read.
	ContentType() string
}

// JSON is the Codec of encoding/json, and the default.
type JSON struct{}

// Marshal is json.Marshal.
func (JSON) Marshal(v any) ([]byte, error) { return codec.JSON{}.Marshal(v) }

// Unmarshal is json.Unmarshal.
func (JSON) Unmarshal(data []byte, v any) error { return codec.JSON{}.Unmarshal(data, v) }

// ContentType is application/json.
func (JSON) ContentType() string { return codec.JSON{}.ContentType() }

// An Option changes what Handle and HandleStream make.
type Option func(*options)

type options struct{ codec Codec }

// WithCodec reads and writes bodies with c; nil is JSON. The client must use the
// same.
func WithCodec(c Codec) Option { return func(o *options) { o.codec = c } }

func newOptions(list []Option) options {
	var o options
	for _, set := range list {
		if set != nil {
			set(&o)
		}
	}
	o.codec = codec.Or(o.codec)
	return o
}

// Handle makes a Handler of a function of values: the request's body is decoded
// for f, and what f returns is encoded. The function client.Ask is the other end.
//
// f's error is an outcome as that of any Handler: Retry and Reject work. A body
// that is not one frame, is sent as another content type than the codec's or
// cannot be decoded as a Req ends as FAILED with the code "BAD_REQUEST", and f is
// not called; a Resp that cannot be encoded with the code "BAD_REPLY". A codec
// that panics counts as one that fails. RequestFrom(ctx) has what else there is to
// know of the request.
func Handle[Req, Resp any](f func(ctx context.Context, in Req) (Resp, error), opts ...Option) Handler {
	if f == nil {
		return misuse{errNilHandler}
	}
	o := newOptions(opts)
	return FramesFunc(func(ctx context.Context, r *Request) ([][]byte, error) {
		in, err := decode[Req](o.codec, r)
		if err != nil {
			return nil, err
		}
		out, err := f(withRequest(ctx, r), in)
		if err != nil {
			return nil, err
		}
		body, err := encode(o.codec, r, out)
		if err != nil {
			return nil, err
		}
		return [][]byte{body}, nil
	})
}

// HandleStream makes a Handler of a function that returns a sequence: each value
// of it is encoded and sent as a part of the reply, as by Request.SendPart, which
// holds the sequence back while the client does not take its parts. The reply
// ends where the sequence does, without a body. The function client.AskStream is
// the other end.
//
// An error in the sequence ends it, and is the outcome; so is the cause of ctx
// once that ends. What is wrong with the request is an outcome as of Handle; a
// part that cannot be encoded, or is over the broker's limit, and a nil sequence,
// end it as FAILED with the code "BAD_REPLY".
func HandleStream[Req, Part any](f func(ctx context.Context, in Req) iter.Seq2[Part, error], opts ...Option) Handler {
	if f == nil {
		return misuse{errNilHandler}
	}
	o := newOptions(opts)
	return FramesFunc(func(ctx context.Context, r *Request) ([][]byte, error) {
		in, err := decode[Req](o.codec, r)
		if err != nil {
			return nil, err
		}
		seq := f(withRequest(ctx, r), in)
		if seq == nil {
			return nil, Reject("BAD_REPLY", "the handler returned no sequence of parts")
		}
		n := 0
		for part, err := range seq {
			if err == nil {
				n++
				err = sendValue(ctx, o.codec, r, n, part)
			}
			if err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
}

// sendValue sends part number n of the reply to r.
func sendValue(ctx context.Context, c Codec, r *Request, n int, part any) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	body, err := encode(c, r, part)
	if err != nil {
		return err
	}
	if err = r.SendPart(body); err == nil {
		return nil
	}
	if r.run != nil && r.run.ctx.Err() != nil {
		return err
	}
	return Reject("BAD_REPLY", fmt.Sprintf("part %d: %v", n, err))
}

func decode[T any](c Codec, r *Request) (T, error) {
	sent := ""
	for _, h := range r.Headers {
		if h.Key == codec.Header {
			sent = h.Value
		}
	}
	v, err := codec.Decode[T](c, r.Frames, sent)
	if err != nil {
		err = Reject("BAD_REQUEST", fmt.Sprintf("the body of the request: %v", err))
	}
	return v, err
}

// encode returns v as a body, and says in the reply's headers what it is.
func encode(c Codec, r *Request, v any) ([]byte, error) {
	body, contentType, err := codec.Encode(c, v)
	if err != nil {
		return nil, Reject("BAD_REPLY", fmt.Sprintf("the reply: %v", err))
	}
	if contentType != "" {
		r.SetReplyHeader(codec.Header, contentType)
	}
	return body, nil
}

// RequestFrom returns the request that a handler was called for, from its
// context: of use where there is only that, as in a typed handler. It is nil in
// any other context.
func RequestFrom(ctx context.Context) *Request {
	if r, ok := ctx.Value(requestKey{}).(*Request); ok {
		return r
	}
	if r, ok := ctx.Value(runKey{}).(*run); ok {
		return &r.request
	}
	return nil
}

type requestKey struct{}

// withRequest is ctx with RequestFrom(ctx) == r. Where a middleware has made
// another request, that is not so by itself.
func withRequest(ctx context.Context, r *Request) context.Context {
	if RequestFrom(ctx) == r {
		return ctx
	}
	return context.WithValue(ctx, requestKey{}, r)
}
