package call

import (
	"context"
	"time"

	"github.com/google/uuid"

	"clicktodial/server/pbx"
)

// DeviceStates says what the phones are doing; unknown when the PBX does not say
// so at once.
func (s *Service) DeviceStates(ctx context.Context, pbxID uuid.UUID, endpoints []string) map[string]pbx.DeviceState {
	states := make(map[string]pbx.DeviceState, len(endpoints))
	for _, e := range endpoints {
		states[e] = pbx.DeviceUnknown
	}
	line, err := s.Lines.line(ctx, pbxID)
	if err != nil || line.Up() != nil || len(endpoints) == 0 {
		return states
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	known, err := line.Devices(ctx, endpoints)
	if err != nil {
		return states
	}
	for e, state := range known {
		states[e] = state
	}
	return states
}
