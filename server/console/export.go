package console

import (
	"context"
	"io"

	"github.com/gofiber/fiber/v2"

	"clicktodial/server/call"
	"clicktodial/server/web"
)

// exportHistory sends the company's history, or what a kept search finds in it, as
// a file. A POST: it is audited, and no link of elsewhere begins it.
func (v *visit) exportHistory() error {
	format := call.CSV
	if v.form["format"] == string(call.JSON) {
		format = call.JSON
	}
	a := asked{}
	if id := v.form["search"]; id != "" {
		var found bool
		var err error
		if a, found, err = v.savedSearch(id); err != nil || !found {
			return v.searchGone(err)
		}
	}
	search, err := v.read(a)
	if err != nil {
		return err
	}
	export, err := v.Company.Export(v.c.UserContext(), v.session.Actor(), search, format)
	if err != nil {
		return err
	}
	v.c.Set(fiber.HeaderContentType, export.Kind())
	v.c.Set(fiber.HeaderContentDisposition, `attachment; filename="`+export.File()+`"`)
	web.Stream(v.c, v.Log, func(ctx context.Context, out io.Writer) error { return export.Write(ctx, out) })
	return nil
}
