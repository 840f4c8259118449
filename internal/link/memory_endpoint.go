package link

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	memoryScheme = "mem://"
	faultKeys    = "seed, loss, delay, dup, cut"
	processKey   = "process"
	delayMax     = time.Hour
)

// faults say how badly one connection behaves. The zero value is a perfect
// network. Probabilities are per message, between 0 and 1.
type faults struct {
	seed  uint64        // of the link's own random numbers
	loss  float64       // the message vanishes
	delay time.Duration // from Send until it can be received
	dup   float64       // the message arrives twice
	cut   float64       // the connection breaks

	process uint64 // number of the Process that opens the link; 0: none
}

// parseMemory splits mem://name?query for role. Only a connecting role may
// ask for faults. Errors say what is wrong, where, and what is allowed.
func parseMemory(role Role, endpoint string) (name string, f faults, err error) {
	fail := func(format string, args ...any) (string, faults, error) {
		return "", faults{}, fmt.Errorf("%s %s: %s", role.Verb(), endpoint, fmt.Sprintf(format, args...))
	}
	rest, ok := strings.CutPrefix(endpoint, memoryScheme)
	if !ok {
		return fail("the memory link serves only mem:// endpoints: write mem://name")
	}
	name, query, asked := strings.Cut(rest, "?")
	if name == "" {
		return fail("the name is missing: write mem://name")
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == '#' || r == '*' }) {
		return fail("the name must not contain spaces, * or #")
	}
	if !asked {
		return name, faults{}, nil
	}
	f, err = parseFaults(query)
	if role == Router && (err != nil || f != faults{process: f.process}) {
		return fail("faults belong to the connecting side: bind without ?%s", query)
	}
	if err != nil {
		return fail("%v", err)
	}
	return name, f, nil
}

// parseFaults reads the query of a connecting endpoint.
func parseFaults(query string) (faults, error) {
	var f faults
	values, err := url.ParseQuery(query)
	if err != nil {
		return f, fmt.Errorf("bad query %q: write key=value&key=value with the keys %s", query, faultKeys)
	}
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys) // so that of two mistakes the same one is always named
	for _, key := range keys {
		if len(values[key]) != 1 {
			return f, fmt.Errorf("%s is given %d times: give it once", key, len(values[key]))
		}
		if err := f.set(key, values[key][0]); err != nil {
			return f, err
		}
	}
	return f, nil
}

func (f *faults) set(key, value string) error {
	var err error
	switch key {
	case "seed":
		if f.seed, err = strconv.ParseUint(value, 10, 64); err != nil {
			return fmt.Errorf("seed=%s is not a whole number from 0 to 2^64-1", value)
		}
	case processKey:
		if f.process, err = strconv.ParseUint(value, 10, 64); err != nil || f.process == 0 {
			return fmt.Errorf("process=%s is not the number of a Process", value)
		}
	case "delay":
		f.delay, err = time.ParseDuration(value)
		if err != nil || f.delay < 0 || f.delay > delayMax {
			return fmt.Errorf("delay=%s is not a duration from 0s to %v, such as 5ms", value, delayMax)
		}
	case "loss":
		f.loss, err = probability(key, value)
	case "dup":
		f.dup, err = probability(key, value)
	case "cut":
		f.cut, err = probability(key, value)
	default:
		err = fmt.Errorf("unknown key %q: the keys are %s", key, faultKeys)
	}
	return err
}

func probability(key, value string) (float64, error) {
	p, err := strconv.ParseFloat(value, 64)
	if err != nil || !(p >= 0 && p <= 1) { // written so that NaN fails too
		return 0, fmt.Errorf("%s=%s is not a probability from 0 to 1, such as 0.01", key, value)
	}
	return p, nil
}
