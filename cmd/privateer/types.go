package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"

	"github.com/privateer-mq/privateer/protocol"
)

// The types of the flags. Each reads its text and refuses what its flag cannot
// mean, so that a command sees only values that it can use.
type (
	duration       time.Duration // above 0
	durationOrZero time.Duration // the help text says what 0 means
	size           int64         // bytes, above 0
	count          int           // above 0
	countOrZero    int           // the help text says what 0 means
	pageSize       int           // 1 to pageMax
	requestID      protocol.ID
	header         struct{ key, value string }
)

// UnmarshalText reads a time like 2.5s.
func (d *duration) UnmarshalText(text []byte) error {
	v, err := parseDuration(string(text))
	if err == nil && v == 0 {
		err = errors.New("must be above 0")
	}
	*d = duration(v)
	return err
}

// UnmarshalText reads a time like 2.5s, or 0.
func (d *durationOrZero) UnmarshalText(text []byte) error {
	v, err := parseDuration(string(text))
	*d = durationOrZero(v)
	return err
}

// durationMax is the longest time the wire can carry, about 49 days.
const durationMax = protocol.DurationMSMax * time.Millisecond

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a time; write it like 2.5s, 500ms or 1m30s", s)
	case d < 0:
		return 0, fmt.Errorf("%q is below 0", s)
	case d > durationMax:
		return 0, fmt.Errorf("%q is above the longest time, 49 days", s)
	}
	return d, nil
}

// UnmarshalText reads a size like 1MiB.
func (b *size) UnmarshalText(text []byte) error {
	n, err := units.RAMInBytes(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a size; write it like 1MiB, 64KiB or 1000000", text)
	}
	if n <= 0 {
		return fmt.Errorf("%q is not above 0 and below 8EiB", text)
	}
	*b = size(n)
	return nil
}

// UnmarshalText reads a whole number above 0.
func (c *count) UnmarshalText(text []byte) error {
	n, err := parseCount(string(text))
	if err == nil && n == 0 {
		err = errors.New("must be above 0")
	}
	*c = count(n)
	return err
}

// UnmarshalText reads a whole number, 0 included.
func (c *countOrZero) UnmarshalText(text []byte) error {
	n, err := parseCount(string(text))
	*c = countOrZero(n)
	return err
}

// pageMax is how many the admin API lists at a time.
const pageMax = 1000

// UnmarshalText reads a whole number from 1 to pageMax.
func (p *pageSize) UnmarshalText(text []byte) error {
	n, err := parseCount(string(text))
	if err == nil && (n == 0 || n > pageMax) {
		err = fmt.Errorf("must be 1 to %d", pageMax)
	}
	*p = pageSize(n)
	return err
}

func parseCount(s string) (int, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("%s is too large; the most is 2147483647", s)
	case err != nil:
		return 0, fmt.Errorf("%q is not a whole number", s)
	case n < 0:
		return 0, fmt.Errorf("%s is below 0", s)
	}
	return int(n), nil
}

// UnmarshalText reads a UUID.
func (id *requestID) UnmarshalText(text []byte) error {
	v, err := protocol.ParseID(string(text))
	*id = requestID(v)
	return err
}

// UnmarshalText reads KEY=VALUE.
func (h *header) UnmarshalText(text []byte) error {
	k, v, ok := strings.Cut(string(text), "=")
	switch {
	case !ok || k == "":
		return fmt.Errorf("%q is not KEY=VALUE", text)
	case len(k) > protocol.HeaderKeyBytesMax:
		return fmt.Errorf("the key is %d bytes long; at most %d", len(k), protocol.HeaderKeyBytesMax)
	}
	*h = header{k, v}
	return nil
}

// fileMode is permissions, in octal digits.
type fileMode os.FileMode

// UnmarshalText reads permissions: 0660.
func (m *fileMode) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 8, 32)
	if err != nil || n == 0 || n > 0o777 {
		return errors.New("want permissions in octal digits, as 0660")
	}
	*m = fileMode(n)
	return nil
}
