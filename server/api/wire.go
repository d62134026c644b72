package api

import (
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/web"
)

// Ref names something by id and label.
type Ref struct {
	ID    *uuid.UUID `json:"id" doc:"null when it has been removed"`
	Label string     `json:"label"`
}

// Diagnosis says for people how a call ended.
type Diagnosis struct {
	Code     string `json:"code"`
	Sentence string `json:"sentence"`
}

// Can says what may be done with a call now.
type Can struct {
	HangUp bool `json:"hangUp"`
}

// Call is a call on the wire.
type Call struct {
	ID               uuid.UUID  `json:"id"`
	Number           *string    `json:"number" doc:"as it was parsed, with an extension as ;ext=; null in a private call that has ended"`
	Display          *string    `json:"display" doc:"the number as people write it"`
	Name             *string    `json:"name"`
	Status           string     `json:"status" enum:"initiating,callingCaller,callingCallee,connected,disconnected,failed"`
	Reason           *string    `json:"reason" enum:"hangUp,callerBusy,callerNoAnswer,callerFailure,callerAbandon,calleeBusy,calleeNoAnswer,calleeFailure"`
	Diagnosis        *Diagnosis `json:"diagnosis"`
	Device           Ref        `json:"device"`
	SignIn           Ref        `json:"signIn"`
	CreatedAt        time.Time  `json:"createdAt"`
	CallerAnsweredAt *time.Time `json:"callerAnsweredAt"`
	ConnectedAt      *time.Time `json:"connectedAt"`
	EndedAt          *time.Time `json:"endedAt"`
	DurationSeconds  *int       `json:"durationSeconds" doc:"from connected to ended, whole seconds; null when never connected or not ended"`
	ExpiresAt        time.Time  `json:"expiresAt" doc:"from this instant the record exists for nobody"`
	Private          bool       `json:"private"`
	RecordingEnabled bool       `json:"recordingEnabled" doc:"the PBX was asked to record"`
	Can              Can        `json:"can"`
}

// wireCall is where a row becomes what its owner may see: the number whole.
func wireCall(row models.Call, lang string) Call {
	c := Call{
		ID: row.ID, Status: string(row.Status),
		Device: Ref{row.DeviceID, row.DeviceLabel}, SignIn: Ref{row.GrantID, row.SignInLabel},
		CreatedAt: row.CreatedAt.UTC(), CallerAnsweredAt: utc(row.CallerAnsweredAt), ConnectedAt: utc(row.ConnectedAt),
		EndedAt: utc(row.EndedAt), ExpiresAt: row.ExpiresAt.UTC(), Private: row.Private, RecordingEnabled: row.RecordingEnabled,
		Can:             Can{HangUp: !row.Status.Ended()},
		DurationSeconds: duration(row.ConnectedAt, row.EndedAt),
		Reason:          (*string)(row.Reason), Diagnosis: wireDiagnosis(row.Diagnosis, lang),
	}
	if !row.Number.IsZero() {
		number, display := row.Number.Reveal(), row.Display()
		c.Number, c.Display = &number, &display
	}
	if name := row.Name.Reveal(); name != "" {
		c.Name = &name
	}
	return c
}

func wireDiagnosis(d *models.Diagnosis, lang string) *Diagnosis {
	if d == nil {
		return nil
	}
	return &Diagnosis{Code: string(*d), Sentence: web.Sentence(string(*d), lang, "")}
}

func wireCalls(rows []models.Call, lang string) []Call {
	calls := make([]Call, 0, len(rows))
	for _, row := range rows {
		calls = append(calls, wireCall(row, lang))
	}
	return calls
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

func duration(from, to *time.Time) *int {
	if from == nil || to == nil {
		return nil
	}
	seconds := int(to.Sub(*from).Seconds())
	return &seconds
}
