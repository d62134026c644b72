package web_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"clicktodial/server/web"
)

var kebab = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)

// Every code that the program can produce, and every diagnosis, has a sentence in
// each language.
func TestEveryCodeHasASentence(t *testing.T) {
	t.Parallel()
	codes := map[string]string{}
	for _, root := range []string{"../../server", "../../models"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				for _, code := range codesIn(n, path) {
					codes[code] = path
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, must := range []string{"unauthorized", "emergency-number", "number-invalid", "hung-up", "lost-track", "pbx-unavailable", "method-not-allowed", "pace-exceeded"} {
		if codes[must] == "" {
			t.Errorf("the search for codes misses %s", must)
		}
	}
	for code, path := range codes {
		if !kebab.MatchString(code) {
			t.Errorf("%s: %q is not kebab-case", path, code)
		}
		told := map[string]bool{}
		for _, lang := range []string{"en", "nl", "de"} {
			text := web.SentenceIn(code, lang)
			if text == "" || told[text] {
				t.Errorf("%s: %s has no sentence of its own in %s", path, code, lang)
			}
			told[text] = true
		}
		if !slices.Contains(web.Codes(), code) {
			t.Errorf("%s is not listed", code)
		}
	}
}

// codesIn finds the literals that become codes: of fault.New, fault.Wrap and the
// helpers of package phone, denials of the policy, diagnoses, and the table of
// statuses in problem.go.
func codesIn(n ast.Node, path string) []string {
	switch n := n.(type) {
	case *ast.CallExpr:
		at := map[string]int{"fault.New": 1, "fault.Wrap": 2, "refused": 0}
		i, ok := at[nameOf(n.Fun)]
		if ok && len(n.Args) > i {
			return texts(n.Args[i : i+1])
		}
	case *ast.CompositeLit:
		if nameOf(n.Type) == "denial" && len(n.Elts) > 0 {
			return texts(n.Elts[:1])
		}
		if m, ok := n.Type.(*ast.MapType); ok && nameOf(m.Value) == "denial" {
			var found []string
			for _, e := range n.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok {
					if inner, ok := kv.Value.(*ast.CompositeLit); ok && len(inner.Elts) > 0 {
						found = append(found, texts(inner.Elts[:1])...)
					}
				}
			}
			return found
		}
	case *ast.ValueSpec:
		if nameOf(n.Type) == "Diagnosis" && strings.Contains(path, "models") {
			return texts(n.Values)
		}
	case *ast.AssignStmt:
		if len(n.Lhs) == 2 && nameOf(n.Lhs[0]) == "code" && nameOf(n.Lhs[1]) == "detail" {
			return texts(n.Rhs[:1])
		}
	}
	return nil
}

func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return nameOf(e.X) + "." + e.Sel.Name
	}
	return ""
}

func texts(list []ast.Expr) (found []string) {
	for _, e := range list {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil && text != "" {
				found = append(found, text)
			}
		}
	}
	return found
}
