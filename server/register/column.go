package register

import (
	"reflect"
	"slices"
	"strings"
	"unicode"

	"clicktodial/models"
)

// rows are all row types. A test in package store holds their columns against
// the schema, so that none is left out.
var rows = []any{
	models.Tenant{}, models.PBXConnection{}, models.User{}, models.Device{}, models.Grant{}, models.Token{},
	models.PairingCode{}, models.Audit{}, models.Call{}, models.FollowedCall{}, models.CallEvent{}, models.Refusal{},
	models.Idempotency{}, models.DailyKey{}, models.Replica{}, models.MaskedCall{}, models.PasswordLink{}, models.RecoveryCode{},
	models.Session{}, models.AuthorizationCode{}, models.Revocation{}, models.OAuthClient{},
	models.CallWord{}, models.Restamp{}, models.Lease{}, models.Evidence{}, models.DoNotDial{}, models.Restriction{},
	models.PrivacyRequest{}, models.SavedSearch{}, models.LedgerCounter{}, models.LedgerLine{},
}

// Rows gives a value of each row type.
func Rows() []any { return slices.Clone(rows) }

// Kinds names the kinds that a tag may have.
func Kinds() (names []string) {
	for _, k := range kinds {
		names = append(names, k.Name)
	}
	return names
}

// Nothing is the tag of a column that says nothing about a person.
const Nothing = "-"

// Column is a column of the database, as a row type has it.
type Column struct {
	Name string // table.column
	Kind string // the name of a Kind, Nothing, or "" where the field has no tag
	Type string // the row type, for who has to add the tag
}

// Columns gives the columns of all row types; one that several types read comes
// once for each.
func Columns() []Column { return columnsOf(rows) }

func columnsOf(rows []any) (all []Column) {
	for _, row := range rows {
		of := reflect.TypeOf(row)
		table := tableOf(row)
		for i := range of.NumField() {
			field := of.Field(i)
			all = append(all, Column{Name: table + "." + columnOf(field), Kind: field.Tag.Get("privacy"), Type: of.Name()})
		}
	}
	return all
}

// columnsByKind gives the columns of each kind, sorted.
func columnsByKind() map[string][]string {
	by := map[string][]string{}
	for _, c := range Columns() {
		by[c.Kind] = append(by[c.Kind], c.Name)
	}
	for kind, names := range by {
		slices.Sort(names)
		by[kind] = slices.Compact(names)
	}
	return by
}

func tableOf(row any) string {
	if named, ok := row.(interface{ TableName() string }); ok {
		return named.TableName()
	}
	return snake(reflect.TypeOf(row).Name()) + "s"
}

func columnOf(field reflect.StructField) string {
	for part := range strings.SplitSeq(field.Tag.Get("gorm"), ";") {
		if name, ok := strings.CutPrefix(part, "column:"); ok {
			return name
		}
	}
	return snake(field.Name)
}

// snake makes call_words of CallWords and replica_id of ReplicaID.
func snake(name string) string {
	var out strings.Builder
	letters := []rune(name)
	for i, r := range letters {
		begins := i > 0 && unicode.IsUpper(r) && (unicode.IsLower(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1]))
		if begins {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}
