package broker

// AdminRoutes lists the calls of the API: "METHOD /path".
func AdminRoutes() (list []string) {
	for pattern := range (&admin{}).api() {
		list = append(list, pattern)
	}
	return list
}
