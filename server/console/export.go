package console

import (
	"bufio"
	"context"

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
	file := web.File{Name: export.FileName(), Type: export.ContentType()}
	web.Stream(v.c, v.Log, file, func(ctx context.Context, out *bufio.Writer) error { return export.Write(ctx, out) })
	return nil
}
