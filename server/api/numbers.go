package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"clicktodial/models"
	"clicktodial/server/auth"
	"clicktodial/server/fault"
	"clicktodial/server/phone"
	"clicktodial/server/web"
)

type checkInput struct {
	Body struct {
		Number string `json:"number" minLength:"1" maxLength:"256"`
	}
}

// NumberCheck says what a number is, and whether it may be dialled.
type NumberCheck struct {
	Number   *string `json:"number" doc:"as it would be dialled; null when it is no number"`
	Display  *string `json:"display"`
	Class    *string `json:"class"`
	Region   *string `json:"region"`
	Verdict  string  `json:"verdict" enum:"allowed,confirm,denied"`
	Code     *string `json:"code" doc:"why not"`
	Sentence *string `json:"sentence"`
	Confirm  *string `json:"confirm" doc:"what POST /v1/calls wants as confirm, after a second gesture"`
}

type checkOutput struct{ Body NumberCheck }

func (a *API) registerNumbers(h huma.API) {
	huma.Register(h, operation(http.MethodPost, "/v1/numbers/check", "checkNumber", "What is this number, and may it be dialled", auth.ScopeCreate), a.checkNumber)
}

func (a *API) checkNumber(ctx context.Context, in *checkInput) (*checkOutput, error) {
	caller, lang := callerOf(ctx), web.Language(ctx)
	number, err := phone.Parse(in.Body.Number, caller.Region)
	if f, ok := fault.Of(err); ok {
		return &checkOutput{NumberCheck{
			Verdict: string(models.Denied), Code: &f.Code, Sentence: text(web.Sentence(f.Code, lang, f.Detail)),
		}}, nil
	}
	if err != nil {
		return nil, err
	}
	verdict, err := a.Calls.Ask(ctx, caller, number)
	if err != nil {
		return nil, err
	}
	return &checkOutput{NumberCheck{
		Number: text(number.Reveal()), Display: text(number.Display()),
		Class: text(string(number.Class())), Region: text(number.Region()),
		Verdict: string(verdict.Ruling), Code: text(verdict.Code),
		Sentence: text(web.Sentence(verdict.Code, lang, verdict.Detail)), Confirm: text(verdict.Confirm),
	}}, nil
}

// text is null on the wire when there is none.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
