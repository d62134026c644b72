package console_test

import (
	"io"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"

	"clicktodial/server/console"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	app := fiber.New(fiber.Config{Immutable: true})
	console.RegisterDemo(app)
	res, err := app.Test(httptest.NewRequest("GET", "/demo", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // read whole
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	page := string(body)
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.HasPrefix(page, "<!") {
		t.Fatalf("%d %v", res.StatusCode, res.Header)
	}
	if policy := res.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "script-src") {
		t.Errorf("policy %q", policy)
	}
	if found := regexp.MustCompile(`(?i)<script|\son[a-z]+=|src\s*=|url\(|@import|<link|<iframe|<form`).FindString(page); found != "" {
		t.Errorf("the page loads or runs %q", found)
	}
	if strings.Count(page, "tel:") == 0 {
		t.Error("no tel: link to try")
	}
	root, err := app.Test(httptest.NewRequest("GET", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Body.Close() //nolint:errcheck // empty
	if root.StatusCode != 303 || root.Header.Get("Location") != "/demo" {
		t.Errorf("/ gives %d to %q", root.StatusCode, root.Header.Get("Location"))
	}
}
