package console_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"clicktodial/server/auth"
	"clicktodial/server/console"
	"clicktodial/server/testdb"
)

func TestAuditPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, grant := b.device(t, b.piet, "Laptop")
	sam, anna := b.as(t, b.sam), b.as(t, b.anna)
	sam.post(t, "/console/support", "who", b.piet.Email).to(t)
	_, err := b.auth.Revoke(t.Context(), actorOf(b.sam), auth.Which{SignIn: grant.ID}, "lost or stolen device: by phone")
	check(t, err)
	check(t, b.auth.SetDisabled(t.Context(), actorOf(b.anna), b.piet.ID, true))
	anna.subjectOf(t, "number", wholeCall)
	anna.get(t, anna.subjectOf(t, "number", wholeCall))
	page := anna.get(t, "/console/audit").plain()
	page.wants(t, http.StatusOK, `href="/console/audit" aria-current="page"`, "<title>Audit · Click-to-Dial",
		"Support searched for a person and found them.", "about piet@example.test", "Support revoked sign-ins.", "Lost or stolen device: by phone",
		"Anna Smit disabled an account.", "Anna Smit signed in to the console.", "Anna Smit looked up what is held about somebody.", "about somebody who was called",
		"Your provider set a password.", "about Anna Smit")
	page.lacks(t, b.sam.Email, b.olga.Email, "Olga", "4567", b.sam.ID.String(), "did this")
	b.as(t, b.olga).get(t, "/console/audit").lacks(t, "Support", "piet@", "Anna")
	for lang, want := range map[string]string{"nl": "Support heeft aanmeldingen ingetrokken.", "de": "Der Support hat Anmeldungen widerrufen."} {
		anna.get(t, "/console/audit?lang="+lang).wants(t, http.StatusOK, want)
	}
	testdb.AsOwner(t, b.url, "UPDATE users SET deleted_at = now(), name = '', email = 'left@left.invalid' WHERE id = $1", b.piet.ID)
	anna.get(t, "/console/audit").wants(t, http.StatusOK, "about Former user")
}

func TestAuditFilters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.as(t, b.anna)
	testdb.AsOwner(t, b.url, "DELETE FROM audit")
	for i := range 120 { // all of a moment
		testdb.AsOwner(t, b.url, `INSERT INTO audit (id, tenant_id, at, actor_kind, actor_id, action, reason) VALUES (gen_random_uuid(), $1, '2026-03-02T23:59:59Z', 'user', $2, $3, 'Nr' || $4)`,
			b.acme.ID, b.piet.ID, []string{"export", "reveal"}[i%2], fmt.Sprintf("%03d", i))
	}
	through := func(path string) (reasons []string) {
		for next := path; next != ""; {
			a := anna.get(t, next)
			a.wants(t, http.StatusOK)
			for _, part := range strings.Split(a.body, "· Nr")[1:] {
				reasons = append(reasons, part[:3])
			}
			next = ""
			if m := nextHref.FindStringSubmatch(a.plain().body); m != nil {
				next = m[1]
			}
		}
		slices.Sort(reasons)
		return slices.Compact(reasons)
	}
	if got := through("/console/audit"); len(got) != 120 {
		t.Errorf("%d of all", len(got))
	}
	day := "2026-03-02"
	for _, tt := range []struct {
		fields []string
		path   string
		want   int
	}{
		{nil, "/console/audit", 120}, {[]string{"action", "reveal"}, "/console/audit?action=reveal", 60}, {[]string{"user", b.piet.ID.String()}, "/console/audit?user=" + b.piet.ID.String(), 120},
		{[]string{"user", b.anna.ID.String()}, "/console/audit?user=" + b.anna.ID.String(), 0}, {[]string{"email", b.piet.Email}, "/console/audit?user=" + b.piet.ID.String(), 120},
		{[]string{"from", day, "to", day, "action", "export"}, "/console/audit?action=export&from=" + day + "&to=" + day, 60},
		{[]string{"from", "2026-03-03"}, "/console/audit?from=2026-03-03", 0}, {[]string{"to", "2026-03-01"}, "/console/audit?to=2026-03-01", 0},
	} {
		to := anna.post(t, "/console/audit", tt.fields...).to(t)
		if to != tt.path {
			t.Errorf("%v leads to %s", tt.fields, to)
		}
		if got := through(to); len(got) != tt.want {
			t.Errorf("%v: %d, want %d", tt.fields, len(got), tt.want)
		}
	}
	anna.get(t, "/console/audit?action=reveal&from="+day+"&user="+b.piet.ID.String()).wants(t, http.StatusOK, `<option value="reveal" selected>`, `<span class="tag">from 2 Mar 2026</span>`,
		`<span class="tag">piet@example.test</span>`, `<span class="tag">Somebody had numbers or names shown whole.</span>`)
	for field, bad := range map[string]string{"from": "yesterday", "email": "x@example.test"} {
		anna.post(t, "/console/audit", field, bad).wants(t, http.StatusUnprocessableEntity, `id="audit-error" role="alert"`)
	}
	anna.post(t, "/console/audit", "from", day, "to", "2026-03-01").wants(t, http.StatusUnprocessableEntity, `name="to" aria-invalid="true"`, `value="`+day+`"`)
	for _, gone := range [][]string{{"user", "x"}, {"user", b.olga.ID.String()}, {"action", "no-such-act"}} {
		anna.post(t, "/console/audit", gone...).wants(t, http.StatusNotFound)
		anna.get(t, "/console/audit?"+gone[0]+"="+gone[1]).wants(t, http.StatusNotFound)
	}
	for _, query := range []string{"after=x", "from=yesterday", "to=2026-13-01", "user=" + uuid.Nil.String(), "user=" + uuid.NewString()} {
		anna.get(t, "/console/audit?"+query).wants(t, http.StatusNotFound)
	}
}

// Every act that the code writes down has its sentence, and none has one for nothing.
func TestEveryActHasItsSentence(t *testing.T) {
	t.Parallel()
	written := actsWritten(t)
	for _, action := range written {
		if !slices.Contains(console.AuditActions, action) {
			t.Errorf("%s is written and has no sentence", action)
		}
	}
	for _, action := range console.AuditActions {
		if !slices.Contains(written, action) {
			t.Errorf("%s has a sentence and is never written", action)
		}
	}
}

// actsWritten finds the actions in the code: what is given to audit.Entry, or to
// another function of a package as its parameter action; what a variable of that
// name, or that field of models.Audit, is set to.
func actsWritten(t *testing.T) (actions []string) {
	t.Helper()
	files := sources(t)
	place := map[string]int{} // package.function → of the action among its arguments
	each := func(see func(pkg string, n ast.Node)) {
		for _, file := range files {
			ast.Inspect(file, func(n ast.Node) bool {
				see(file.Name.Name, n)
				return true
			})
		}
	}
	each(func(pkg string, n ast.Node) {
		if fn, ok := n.(*ast.FuncDecl); ok {
			i := 0
			for _, field := range fn.Type.Params.List {
				for _, name := range field.Names {
					if name.Name == "action" {
						place[pkg+"."+fn.Name.Name] = i
					}
					i++
				}
			}
		}
	})
	note := func(e ast.Expr) {
		if text, ok := e.(*ast.BasicLit); ok && text.Kind == token.STRING {
			action, err := strconv.Unquote(text.Value)
			check(t, err)
			actions = append(actions, action)
		} else if name, ok := e.(*ast.Ident); !ok || name.Name != "action" {
			t.Errorf("an action that this test cannot read: %v", e)
		}
	}
	each(func(pkg string, n ast.Node) {
		switch n := n.(type) {
		case *ast.CallExpr:
			if i, ok := place[calledBy(pkg, n)]; ok && i < len(n.Args) {
				note(n.Args[i])
			}
		case *ast.AssignStmt:
			if name, ok := n.Lhs[0].(*ast.Ident); ok && name.Name == "action" && len(n.Rhs) == 1 {
				note(n.Rhs[0])
			}
		case *ast.CompositeLit:
			for _, part := range n.Elts {
				if pair, ok := part.(*ast.KeyValueExpr); ok && isNamed(pair.Key, "Action") && isNamed(n.Type, "Audit") {
					note(pair.Value)
				}
			}
		}
	})
	if len(actions) < 50 {
		t.Errorf("the search found only %v", actions)
	}
	return actions
}

// calledBy names the function that a package calls: its own, or audit's.
func calledBy(pkg string, call *ast.CallExpr) string {
	switch fn := call.Fun.(type) {
	case *ast.Ident:
		return pkg + "." + fn.Name
	case *ast.SelectorExpr:
		if isNamed(fn.X, "audit") {
			pkg = "audit"
		}
		return pkg + "." + fn.Sel.Name
	}
	return ""
}

func isNamed(e ast.Expr, name string) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == name
	case *ast.SelectorExpr:
		return e.Sel.Name == name
	}
	return false
}

// sources are the files that may write to the audit.
func sources(t *testing.T) (files []*ast.File) {
	t.Helper()
	for _, folder := range []string{"audit", "store", "auth", "call", "retention", "policy", "api", "cli"} {
		check(t, filepath.WalkDir(filepath.Join("..", folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			files = append(files, file)
			return err
		}))
	}
	return files
}
