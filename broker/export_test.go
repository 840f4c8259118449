package broker

// RecordedIDs lists the ids of all recorded steps of one kind, newest first.
func RecordedIDs(b *Broker, what string) (ids []string) {
	_ = b.ask(func(l *loop) {
		for i := len(l.recorder.steps) - 1; i >= 0; i-- {
			if s := &l.recorder.steps[i]; string(s.what) == what {
				ids = append(ids, s.id.String())
			}
		}
	})
	return ids
}

// AdminRoutes lists the calls of the API: "METHOD /path".
func AdminRoutes() (list []string) {
	for pattern := range (&admin{}).api() {
		list = append(list, pattern)
	}
	return list
}
