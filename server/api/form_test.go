package api_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"clicktodial/server/api"
)

// A form is read as net/url reads it, or not at all: what two parsers understand
// differently is how a check is passed by.
func FuzzReadForm(f *testing.F) {
	app := fiber.New(fiber.Config{Immutable: true})
	for _, seed := range [][3]string{
		{formKind, "", "grant_type=refresh_token&refresh_token=x"}, {formKind + "; charset=utf-8", "", "a=1&a=2"}, {"APPLICATION/X-WWW-FORM-URLENCODED ;", "", "a=%00&b=+%2B"},
		{"application/json", "", "{}"}, {formKind, "a=1", ""}, {formKind, "", "a&a"}, {formKind, "", "=&=x"}, {formKind, "", "%61=1&a=2"}, {formKind, "", "a=%zz&&;=\xff"},
		{"multipart/form-data; boundary=x", "", "--x"}, {"", "", ""},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, kind, query, body string) {
		if strings.ContainsAny(kind+query, "\r\n\x00") {
			return // cannot come in a request
		}
		var raw fasthttp.RequestCtx
		raw.Request.Header.SetMethod("POST")
		raw.Request.SetRequestURI("/oauth/token?" + query)
		raw.Request.Header.SetContentType(kind)
		raw.Request.SetBodyString(body)
		c := app.AcquireCtx(&raw)
		defer app.ReleaseCtx(c)
		form, err := api.ReadForm(c)
		want, wantErr := url.ParseQuery(body)
		if err != nil {
			return
		}
		if !strings.HasPrefix(strings.ToLower(strings.TrimSpace(kind)), formKind) {
			t.Errorf("%q is taken for a form", kind)
		}
		for name, values := range form {
			if len(values) != 1 {
				t.Errorf("%q comes %d times", name, len(values))
			}
		}
		if wantErr != nil {
			return
		}
		want.Del("")
		form.Del("")
		if form.Encode() != want.Encode() {
			t.Errorf("%q is read as %q", body, form.Encode())
		}
	})
}
