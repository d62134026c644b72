package console

import (
	"time"

	"github.com/gofiber/fiber/v2"

	"clicktodial/server/auth"
	"clicktodial/server/web"
)

// linkCookie holds the code of an invitation for as long as its person is choosing
// a password. Lax, because people come from a mail in another site's page.
var linkCookie = web.HostCookie{Name: "__Host-ctd-link", SameSite: fiber.CookieSameSiteLaxMode, MaxAge: time.Hour}

type linkData struct{ Holder auth.LinkHolder }

// linkPage takes the code out of the URL first: what stands there is kept by the
// browser's history.
func (v *visit) linkPage() error {
	if code := v.c.Query("code"); code != "" {
		linkCookie.Set(v.c, safeCode(code))
		return v.redirect("/console/link", "")
	}
	holder, err := v.Auth.FindLink(v.c.UserContext(), linkCookie.Get(v.c))
	if err != nil {
		return err
	}
	return v.render("link", linkData{holder})
}

// safeCode keeps of a code what may stand in a cookie; what loses by it was none.
func safeCode(code string) string {
	kept := make([]byte, 0, len(code))
	for i := 0; i < len(code) && i < 200; i++ {
		if b := code[i]; b == '-' || b == '_' || b >= '0' && b <= '9' || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' {
			kept = append(kept, b)
		}
	}
	return string(kept)
}

func (v *visit) useLink() error {
	opened, err := v.linkOpened()
	if err != nil {
		return v.again("link", err, (*visit).linkPage)
	}
	if err := v.leave(); err != nil {
		return err
	}
	linkCookie.Clear(v.c)
	return v.begin(opened, home)
}

// linkOpened uses the link: for a new password, or for the export of a company
// whose contract has ended.
func (v *visit) linkOpened() (auth.Opened, error) {
	code := linkCookie.Get(v.c)
	if _, export := v.form["open"]; export {
		return v.Auth.UseExportLink(v.c.UserContext(), code, v.visitor())
	}
	password, err := fresh(v.form)
	if err != nil {
		return auth.Opened{}, err
	}
	return v.Auth.UseLink(v.c.UserContext(), code, password, v.visitor())
}
