package client

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/privateer-mq/privateer/internal/codec"
	"github.com/privateer-mq/privateer/protocol"
)

var (
	// ErrReply: there is a reply, and it is no value of the type asked for. The
	// handler ran.
	ErrReply = errors.New("the reply is not what was asked for")
	// ErrRestarted: AskStream's reply begins again. Its worker was lost, and
	// another run makes the values anew.
	ErrRestarted = errors.New("the reply begins again, made by another run: what came before may be made twice")
)

// A Codec writes values as bodies and reads them back; Ask and AskStream take one.
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

// An Option changes what Ask and AskStream do.
type Option func(*options)

type options struct {
	codec     Codec
	requests  []func(*Request)
	restarted func()
}

// WithCodec writes and reads bodies with c; nil is JSON. The worker must use the
// same.
func WithCodec(c Codec) Option { return func(o *options) { o.codec = c } }

// WithRequest lets set change the request before it is sent: its deadline,
// priority, id, headers. Service and Body are filled in, and the header
// "content-type" is set.
func WithRequest(set func(*Request)) Option {
	return func(o *options) {
		if set != nil {
			o.requests = append(o.requests, set)
		}
	}
}

// OnRestart lets AskStream go on with a reply that begins again: restarted is
// called, and then its values come from the first one on. It is called by
// whoever ranges over the sequence, and must forget what came before. With a nil
// function a restart is an error, as without the option.
func OnRestart(restarted func()) Option { return func(o *options) { o.restarted = restarted } }

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

// request is the Request for in. Its error says that in cannot be encoded.
func (o *options) request(service string, in any) (Request, error) {
	r := Request{Service: service}
	body, contentType, err := codec.Encode(o.codec, in)
	if err != nil {
		return r, localError(&r, protocol.Invalid, "the body of the request", false, err)
	}
	r.Body = body
	if contentType != "" {
		r.Headers = []Header{{codec.Header, contentType}}
	}
	for _, set := range o.requests {
		set(&r)
	}
	return r, nil
}

// Ask sends in, encoded, and decodes the reply. The function worker.Handle is the
// other end. It blocks as d.Do does, and an error of d.Do is returned as it is.
//
// A value that cannot be encoded is ErrInvalid, and nothing is sent. A reply that
// cannot be decoded, is not one frame, or is sent as another content type than
// the codec's, is an *Error with the code OK and the certainty ran: ErrReply, and
// the codec's own error.
func Ask[Req, Resp any](ctx context.Context, d Doer, service string, in Req, opts ...Option) (Resp, error) {
	var none Resp
	o := newOptions(opts)
	r, err := o.request(service, in)
	if err != nil {
		return none, err
	}
	if d == nil {
		return none, localError(&r, protocol.Invalid, "client.Ask: the Doer is nil", false, nil)
	}
	reply, err := d.Do(ctx, r)
	if err != nil {
		return none, err
	}
	v, err := decode[Resp](&o, &reply)
	if err != nil {
		return none, unusable(&reply, true, false, fmt.Errorf("%w: %w", ErrReply, err))
	}
	return v, nil
}

// AskStream sends in, encoded, and yields the reply's parts, each decoded, as the
// handler makes them. The functions worker.HandleStream and worker.Handle are the
// other end: of the second there is one value. It blocks, and holds the handler
// back, as Pipeline.Stream does.
//
// An error ends the sequence; it is yielded with a zero value. It is as of Stream
// or Ask, or ErrRestarted: after a value was yielded the reply began again, and
// going on would repeat values that were taken already. OnRestart goes on all the
// same. Who breaks off withdraws the request, and so does every such error.
//
// An end of the reply without a body yields no value. The request is sent when
// the sequence is ranged over, each time anew; it must not be used by several
// goroutines at once.
func AskStream[Req, Value any](ctx context.Context, s Streamer, service string, in Req, opts ...Option) iter.Seq2[Value, error] {
	return func(yield func(Value, error) bool) {
		var none Value
		o := newOptions(opts)
		r, err := o.request(service, in)
		if p, ok := s.(*Pipeline); err == nil && (s == nil || ok && p == nil) {
			err = localError(&r, protocol.Invalid, "client.AskStream: the Streamer is nil", false, nil)
		}
		if err != nil {
			yield(none, err)
			return
		}
		taken := 0 // values of the run that is under way
		for part, err := range s.Stream(ctx, r) {
			if err != nil {
				yield(none, err)
				return
			}
			if part.Restarted && taken > 0 {
				if o.restarted == nil {
					yield(none, unusable(&part.Reply, part.Last, true, ErrRestarted))
					return
				}
				taken = 0
				o.restarted()
			}
			if part.Last && len(part.Frames) <= 1 && len(part.Body()) == 0 {
				return // no value, the end alone
			}
			v, err := decode[Value](&o, &part.Reply)
			if err != nil {
				yield(none, unusable(&part.Reply, part.Last, false, fmt.Errorf("%w: %w", ErrReply, err)))
				return
			}
			taken++
			if !yield(v, nil) {
				return
			}
		}
	}
}

func decode[T any](o *options, r *Reply) (T, error) {
	sent := ""
	for _, h := range r.Headers {
		if h.Key == codec.Header {
			sent = h.Value
		}
	}
	return codec.Decode[T](o.codec, r.Frames, sent)
}

// unusable is the error of a reply that came and cannot be used. One that has not
// come to its end is withdrawn.
func unusable(r *Reply, ended, retryable bool, cause error) *Error {
	e := &Error{
		Code: protocol.OK, Certainty: protocol.Ran, Retryable: retryable, Attempt: r.Attempt, Tries: r.Tries, ID: r.ID,
		Broker: r.Broker, FailedOver: r.FailedOver, cause: cause,
	}
	if !ended {
		e.Code, e.Certainty = protocol.Cancelled, protocol.MaybeStarted
	}
	return e
}
