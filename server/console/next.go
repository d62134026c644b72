package console

import (
	"net/url"
	"strings"
)

const (
	home     = "/console"
	nextSize = 2000 // bytes; an authorization request has some 600
)

// safeNext is the path that a next parameter names, when it is one of our pages,
// and else the first page: nobody is led away from here by a link.
func safeNext(next string) string {
	if len(next) > nextSize || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.Contains(next, `\`) {
		return home
	}
	for _, r := range next {
		if r <= ' ' || r >= 0x7f {
			return home
		}
	}
	u, err := url.Parse(next)
	if err != nil || u.Host != "" || u.Scheme != "" || u.Fragment != "" || strings.Contains(next, "#") {
		return home
	}
	if u.Path != u.EscapedPath() || strings.Contains(u.Path, "/.") || strings.Contains(u.Path, "//") {
		return home
	}
	if u.Path != home && !strings.HasPrefix(u.Path, home+"/") && u.Path != "/oauth/authorize" {
		return home
	}
	return next
}

// withNext puts where to go afterwards into a path; the first page needs no saying.
func withNext(path, next string) string {
	if next == home {
		return path
	}
	return path + "?next=" + url.QueryEscape(next)
}
