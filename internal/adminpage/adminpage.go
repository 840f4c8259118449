// Package adminpage is the web page of a broker's admin listener: what somebody
// who is paged at night looks at first. It is plain HTML, CSS and JavaScript,
// embedded, and asks nothing but the API of the listener that served it.
package adminpage

import (
	"bytes"
	"embed"
	"net/http"
	"path"
	"time"
)

//go:embed page
var embedded embed.FS

// Policy is the page's Content-Security-Policy: nothing from elsewhere, and no
// script or style but the files of this package.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"

// types are written down because those of the system differ.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
}

// Handler returns what serves the page at "/" and its files beside it; any other
// path is a 404. It may be used by many goroutines at once.
func Handler() http.Handler {
	entries, err := embedded.ReadDir("page")
	if err != nil {
		panic(err) // it is embedded
	}
	files := map[string][]byte{}
	for _, e := range entries {
		body, err := embedded.ReadFile("page/" + e.Name())
		if err != nil {
			panic(err) // it is embedded
		}
		files["/"+e.Name()] = body
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		name := r.URL.Path
		if name == "/" {
			name = "/index.html"
		}
		body, ok := files[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", types[path.Ext(name)])
		h.Set("Content-Security-Policy", Policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(body))
	})
}
