package adminapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// DefaultTimeout is how long a call waits for its answer.
	DefaultTimeout = 5 * time.Second

	answerBytesMax = 64 << 20
	// frameBytesMax is for one dead letter, whose frames are of any size that
	// --max-message allows.
	frameBytesMax = 1 << 30
)

// A Client asks one broker's admin listener. What the broker answers that it
// cannot do is an *Error; any other error is a sentence that says what is wrong,
// where, and what to do. Its methods may be called from several goroutines.
type Client struct {
	// Timeout bounds each call, its answer included.
	Timeout time.Duration

	target    string // as it was given, for what is said
	base      string
	token     string
	http      *http.Client
	answerMax int64
}

// New makes a client of the admin listener at target, HOST:PORT or an http URL.
// An empty token is not sent.
func New(target, token string) (*Client, error) {
	base, err := baseURL(target)
	if err != nil {
		return nil, err
	}
	if err := checkToken(token); err != nil {
		return nil, err
	}
	return &Client{Timeout: DefaultTimeout, target: target, base: base, token: token,
		http: &http.Client{Transport: transport(strings.HasPrefix(base, "https:")), CheckRedirect: noRedirect}, answerMax: answerBytesMax}, nil
}

// Target is where the client asks, as it was given to New.
func (c *Client) Target() string { return c.target }

// Status asks how the broker stands.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	err = c.get(ctx, "/status", &s)
	if err == nil && s.Epoch == "" { // any JSON object would do otherwise
		err = c.notAPI("an object that is no status")
	}
	return s, err
}

// Services lists the services, by name.
func (c *Client) Services(ctx context.Context) (list []Service, err error) {
	return list, c.get(ctx, "/services", &list)
}

// Pause makes a service's requests wait.
func (c *Client) Pause(ctx context.Context, service string) error {
	return c.onService(ctx, service, "pause")
}

// Resume hands a paused service's requests out again.
func (c *Client) Resume(ctx context.Context, service string) error {
	return c.onService(ctx, service, "resume")
}

// CancelService withdraws open requests of a service: where it says that there are
// more, it is to be called again.
func (c *Client) CancelService(ctx context.Context, service string) (done Cancelled, err error) {
	path, err := servicePath(service, "cancel")
	if err != nil {
		return done, err
	}
	answer, err := c.call(ctx, http.MethodPost, path, nil, http.StatusOK, c.answerMax)
	if err == nil {
		err = c.decode(answer, &done)
	}
	return done, err
}

// onService does something to a service.
func (c *Client) onService(ctx context.Context, service, what string) error {
	path, err := servicePath(service, what)
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPost, path, http.StatusNoContent)
}

// servicePath is where something is done to a service. No path can hold the names "."
// and "..": they are taken out of it on the way.
func servicePath(service, what string) (string, error) {
	if service == "." || service == ".." {
		return "", fmt.Errorf("a service with the name %q cannot be asked for over HTTP: give it another name", service)
	}
	return "/services/" + url.PathEscape(service) + "/" + what, nil
}

// Workers lists the registered workers.
func (c *Client) Workers(ctx context.Context) (list []Worker, err error) {
	return list, c.get(ctx, "/workers", &list)
}

// A RequestFilter says which open requests are meant; its zero value means all.
type RequestFilter struct {
	Service, State string
	OlderThan      time.Duration
	Limit          int // 0: as many as an answer has, 1,000
}

// Requests lists the open requests, the oldest first.
func (c *Client) Requests(ctx context.Context, f RequestFilter) (r Requests, err error) {
	v := url.Values{}
	if f.Service != "" {
		v.Set("service", f.Service)
	}
	if f.State != "" {
		v.Set("state", f.State)
	}
	if f.OlderThan > 0 {
		v.Set("older_than_ms", strconv.FormatInt(f.OlderThan.Milliseconds(), 10))
	}
	if f.Limit > 0 {
		v.Set("limit", strconv.Itoa(f.Limit))
	}
	path := "/requests"
	if len(v) > 0 {
		path += "?" + v.Encode()
	}
	return r, c.get(ctx, path, &r)
}

// Why asks for the story of one request.
func (c *Client) Why(ctx context.Context, id string) (w Why, err error) {
	return w, c.get(ctx, "/requests/"+url.PathEscape(id), &w)
}

// Cancel withdraws a request that is not done.
func (c *Client) Cancel(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodPost, "/requests/"+url.PathEscape(id)+"/cancel", http.StatusNoContent)
}

// Failures lists the last requests that ended with another code than OK, newest
// first: of each service and code the last 16.
func (c *Client) Failures(ctx context.Context) (list []Failure, err error) {
	return list, c.get(ctx, "/failures", &list)
}

// DeadLetters lists the dead letters without their frames, oldest first.
func (c *Client) DeadLetters(ctx context.Context) (list []DeadLetter, err error) {
	return list, c.get(ctx, "/dead", &list)
}

// DeadLetter asks for one dead letter with its frames.
func (c *Client) DeadLetter(ctx context.Context, id string) (d DeadLetter, err error) {
	answer, err := c.call(ctx, http.MethodGet, "/dead/"+url.PathEscape(id), nil, http.StatusOK, frameBytesMax)
	if err == nil {
		err = c.decode(answer, &d)
	}
	return d, err
}

// Requeue queues a dead letter again, under a new id.
func (c *Client) Requeue(ctx context.Context, id string) (r Requeued, err error) {
	answer, err := c.call(ctx, http.MethodPost, "/dead/"+url.PathEscape(id)+"/requeue", nil, http.StatusOK, c.answerMax)
	if err == nil {
		err = c.decode(answer, &r)
	}
	return r, err
}

// Drop forgets a dead letter.
func (c *Client) Drop(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/dead/"+url.PathEscape(id), http.StatusNoContent)
}

// Drain tells the broker to finish what it holds and to end.
func (c *Client) Drain(ctx context.Context) error {
	return c.do(ctx, http.MethodPost, "/drain", http.StatusAccepted)
}

// LogLevel asks for the least level that the broker logs.
func (c *Client) LogLevel(ctx context.Context) (l LogLevel, err error) {
	return l, c.get(ctx, "/log-level", &l)
}

// SetLogLevel changes it.
func (c *Client) SetLogLevel(ctx context.Context, level string) error {
	body, err := json.Marshal(LogLevel{level})
	if err != nil {
		return err
	}
	_, err = c.call(ctx, http.MethodPut, "/log-level", body, http.StatusNoContent, c.answerMax)
	return err
}

// Document asks for the API's description, in OpenAPI's JSON.
func (c *Client) Document(ctx context.Context) ([]byte, error) {
	return c.call(ctx, http.MethodGet, "/openapi.json", nil, http.StatusOK, c.answerMax)
}

func (c *Client) get(ctx context.Context, path string, into any) error {
	answer, err := c.call(ctx, http.MethodGet, path, nil, http.StatusOK, c.answerMax)
	if err != nil {
		return err
	}
	return c.decode(answer, into)
}

func (c *Client) do(ctx context.Context, method, path string, want int) error {
	_, err := c.call(ctx, method, path, nil, want, c.answerMax)
	return err
}

func (c *Client) decode(answer []byte, into any) error {
	if err := json.Unmarshal(answer, into); err != nil {
		return c.notAPI("what is not the API's JSON")
	}
	return nil
}

// call makes one call and returns the answer's body, if its status is the one
// that is wanted.
func (c *Client) call(ctx context.Context, method, path string, body []byte, want int, most int64) ([]byte, error) {
	parent := ctx
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, c.base+Prefix+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("cannot ask %s for %s: %w", c.target, path, err)
	}
	if method != http.MethodGet {
		r.Header.Set(Header, "1")
	}
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, c.noAnswer(parent, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	switch {
	case err != nil:
		return nil, c.noAnswer(parent, err)
	case int64(len(answer)) > most:
		return nil, c.tooLarge(most)
	case resp.StatusCode == want:
		return answer, nil
	}
	var e Error
	if json.Unmarshal(answer, &e) == nil && e.Code != "" {
		return nil, &e
	}
	return nil, c.notAPI(fmt.Sprintf("HTTP status %d", resp.StatusCode))
}
