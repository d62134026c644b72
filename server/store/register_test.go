package store_test

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"clicktodial/server/register"
)

// annotationFaults finds what is wrong between the columns of a database, the tags
// of the row types, and the kinds of data that the register knows.
func annotationFaults(there []string, columns []register.Column, kinds []string) (faults []string) {
	tags := map[string]string{}
	for _, c := range columns {
		other, twice := tags[c.Name]
		tags[c.Name] = c.Kind
		switch {
		case c.Kind == "":
			faults = append(faults, fmt.Sprintf("%s of models.%s has no tag `privacy`", c.Name, c.Type))
		case c.Kind != register.Nothing && !slices.Contains(kinds, c.Kind):
			faults = append(faults, fmt.Sprintf("%s of models.%s is of the unknown kind %q", c.Name, c.Type, c.Kind))
		case twice && other != c.Kind:
			faults = append(faults, fmt.Sprintf("%s is %q in one row type and %q in another", c.Name, other, c.Kind))
		case !slices.Contains(there, c.Name):
			faults = append(faults, fmt.Sprintf("%s of models.%s is not in the schema", c.Name, c.Type))
		}
	}
	for _, name := range there {
		if _, tagged := tags[name]; !tagged {
			faults = append(faults, name+" is not annotated: add it to its row type in models, with a tag `privacy`")
		}
	}
	for _, kind := range kinds {
		if !slices.ContainsFunc(columns, func(c register.Column) bool { return c.Kind == kind }) {
			faults = append(faults, fmt.Sprintf("the register has a kind %q that no column is of", kind))
		}
	}
	return faults
}

func columnNames(t *testing.T, db *sql.DB) []string {
	t.Helper()
	return names(t, db, `SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public'`)
}

// Each column of the database is in the register, or says nothing about a person.
func TestEveryColumnIsAnnotated(t *testing.T) {
	t.Parallel()
	db := openRaw(t)
	there := columnNames(t, db)
	for _, fault := range annotationFaults(there, register.Columns(), register.Kinds()) {
		t.Error(fault)
	}
	// And the test would see what it is for.
	if _, err := db.Exec("ALTER TABLE calls ADD nickname text"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		there      []string
		columns    []register.Column
		kinds      []string
	}{
		{"a new column", "calls.nickname is not annotated", columnNames(t, db), register.Columns(), register.Kinds()},
		{"a field without a tag", "calls.number of models.Call has no tag", []string{"calls.number"}, []register.Column{{Name: "calls.number", Type: "Call"}}, nil},
		{
			"an unknown kind", `"shoe-size"`, []string{"calls.number"},
			[]register.Column{{Name: "calls.number", Kind: "shoe-size", Type: "Call"}}, nil,
		},
		{"a kind of nothing", `"number" that no column`, nil, nil, []string{"number"}},
		{"a field without a column", "is not in the schema", nil, []register.Column{{Name: "calls.x", Kind: "-", Type: "Call"}}, nil},
		{
			"two tags", "in another", []string{"calls.x"},
			[]register.Column{{Name: "calls.x", Kind: "-", Type: "Call"}, {Name: "calls.x", Kind: "call", Type: "MaskedCall"}}, []string{"call"},
		},
	} {
		faults := annotationFaults(c.there, c.columns, c.kinds)
		if len(faults) != 1 || !strings.Contains(faults[0], c.want) {
			t.Errorf("%s: %v, not one fault with %q", c.name, faults, c.want)
		}
	}
}

// The times that row-level security holds are those that the register tells of.
func TestRegisterTellsThePurgesTimes(t *testing.T) {
	t.Parallel()
	db := openRaw(t)
	kept := map[string]string{}
	for _, a := range register.Of(register.Settings{}).Activities {
		for _, k := range a.Data {
			kept[k.Name] = k.Retention
		}
	}
	for _, c := range []struct{ table, kind, phrase string }{
		{"grants", "sign-in", "%s after its end"}, {"users", "account", "goes %s later"},
		{"sessions", "session", "or %s after it was last used"}, {"authorization_codes", "token", "at most %s more"},
	} {
		var seconds float64
		err := db.QueryRow(`SELECT extract(epoch FROM substring(qual FROM '''([^'']+)''::interval')::interval)::float8
			FROM pg_policies WHERE schemaname = 'public' AND tablename = $1 AND policyname = 'purger'`, c.table).Scan(&seconds)
		if err != nil {
			t.Fatalf("%s: %v", c.table, err)
		}
		want := fmt.Sprintf(c.phrase, register.Span("en", time.Duration(seconds)*time.Second))
		if !strings.Contains(kept[c.kind], want) {
			t.Errorf("%s: the register says %q, not %q", c.table, kept[c.kind], want)
		}
	}
}
