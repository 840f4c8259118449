package link

import "slices"

// Failures are the messages since the last Flush that could not be sent: what
// both implementations keep between Put and Flush.
type Failures struct {
	count int
	list  []failure
}

type failure struct {
	number int
	err    error
}

// Note counts one message, which was sent if err is nil.
func (f *Failures) Note(err error) {
	if err != nil {
		f.list = append(f.list, failure{f.count, err})
	}
	f.count++
}

// Count is how many messages were noted.
func (f *Failures) Count() int { return f.count }

// Fail says that a message which was noted as sent was not.
func (f *Failures) Fail(number int, err error) {
	f.list = append(f.list, failure{number, err})
	slices.SortFunc(f.list, func(a, b failure) int { return a.number - b.number })
}

// First is the error of the first message that was not sent, nil if there is
// none.
func (f *Failures) First() error {
	if len(f.list) == 0 {
		return nil
	}
	return f.list[0].err
}

// Report calls failed for each message that was not sent, and begins anew.
func (f *Failures) Report(failed func(number int, err error)) {
	for i := range f.list {
		if failed != nil {
			failed(f.list[i].number, f.list[i].err)
		}
		f.list[i] = failure{}
	}
	f.count, f.list = 0, f.list[:0]
}
