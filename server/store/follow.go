package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clicktodial/models"
)

// Step is what an event changes in a call.
type Step struct {
	Status    models.Status
	Reason    models.Reason
	Diagnosis models.Diagnosis
	Cause     int
	At        time.Time

	CallerAnsweredAt *time.Time
	ConnectedAt      *time.Time
	EndedAt          *time.Time
}

// Advance locks the call with this channel id, lets decide look at it, and
// writes the step that decide returns, with its line in the timeline. Nothing is
// written, and changed is false, when the call has ended or decide says no: the
// state only ever moves forward. The row that comes back is as it stands now.
func (d *DB) Advance(ctx context.Context, channel string,
	decide func(models.FollowedCall) (Step, bool),
) (call models.FollowedCall, changed bool, err error) {
	err = d.travel(ctx, func(s session) error {
		found := false
		look := d.newTrip()
		look.begin(roleFollow, uuid.Nil)
		look.add(look.write.Clauses(clause.Locking{Strength: "UPDATE"}).Where("channel_id = ? AND rank < 4", channel).
			Take(&models.FollowedCall{})).Query(find(&call, &found))
		if err := s.send(look); err != nil || !found {
			return err
		}
		step, ok := decide(call)
		if !ok || step.Status.Rank() <= call.Rank {
			return nil
		}
		changed = true
		t := d.newTrip()
		write(t, &call, step)
		t.commit()
		return s.send(t)
	})
	return call, changed && err == nil, err
}

// write adds what a step changes to the trip.
func write(t *trip, call *models.FollowedCall, step Step) {
	event := models.CallEvent{
		TenantID: call.TenantID, CallID: call.ID, Rank: step.Status.Rank(),
		Status: step.Status, Cause: step.Cause, At: step.At,
	}
	*call = step.Applied(*call)
	if call.DeleteAtEnd && step.Status.Ended() {
		t.add(t.write.Where("id = ? AND rank < 4", call.ID).Delete(&models.FollowedCall{}))
		return
	}
	set := map[string]any{
		"status": call.Status, "rank": call.Rank, "reason": call.Reason, "diagnosis": call.Diagnosis,
		"caller_answered_at": call.CallerAnsweredAt, "connected_at": call.ConnectedAt, "ended_at": call.EndedAt,
	}
	if call.Private && step.Status.Ended() {
		for _, column := range []string{"number", "name", "number_masked", "last_four"} {
			set[column] = nil
		}
		t.add(t.write.Where("call_id = ?", call.ID).Delete(&models.CallWord{}))
	}
	t.add(t.write.Model(&models.FollowedCall{}).Where("id = ? AND rank < ?", call.ID, call.Rank).Updates(set))
	t.add(t.write.Clauses(clause.OnConflict{DoNothing: true}).Create(&event))
}

// Applied is the call as it stands after the step.
func (step Step) Applied(call models.FollowedCall) models.FollowedCall {
	call.Status, call.Rank = step.Status, step.Status.Rank()
	if step.Reason != "" {
		call.Reason = &step.Reason
	}
	if step.Diagnosis != "" {
		call.Diagnosis = &step.Diagnosis
	}
	call.CallerAnsweredAt, call.ConnectedAt, call.EndedAt = step.CallerAnsweredAt, step.ConnectedAt, step.EndedAt
	return call
}

// MarkDispatched notes that the PBX has taken the calls, and tells of which of
// them someone has asked for the end meanwhile. It does not wait for the disk:
// adoption asks the PBX again if this is lost.
func (d *DB) MarkDispatched(ctx context.Context, ids []uuid.UUID) (hangUps map[uuid.UUID]models.HangUpWhy, err error) {
	type row struct {
		ID        uuid.UUID
		HangUpWhy *models.HangUpWhy
	}
	var living []row
	err = d.travel(ctx, func(s session) error {
		t := d.newTrip()
		t.takeUnsynced(roleFollow)
		t.ask("UPDATE calls SET dispatch = $1 WHERE id = ANY($2) AND rank < 4 RETURNING id, hang_up_why", models.Dispatched, ids).
			Query(findAll(&living))
		return s.send(t)
	})
	hangUps = map[uuid.UUID]models.HangUpWhy{}
	for _, call := range living {
		if call.HangUpWhy != nil {
			hangUps[call.ID] = *call.HangUpWhy
		}
	}
	return hangUps, err
}

// MarkDoubt notes that nobody knows whether the PBX has taken the call.
func (d *DB) MarkDoubt(ctx context.Context, id uuid.UUID) error {
	return d.asUnsynced(ctx, roleFollow, func(tx *gorm.DB) error {
		return tx.Model(&models.FollowedCall{}).Where("id = ? AND rank < 4", id).Update("dispatch", models.InDoubt).Error
	})
}

// AskHangUpBy notes why we end a call that we follow.
func (d *DB) AskHangUpBy(ctx context.Context, id uuid.UUID, why models.HangUpWhy) error {
	return d.as(ctx, roleFollow, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Model(&models.FollowedCall{}).Where("id = ? AND rank < 4 AND hang_up_why IS NULL", id).
			Update("hang_up_why", why).Error
	})
}

// Beat says that the replica lives, by Postgres's clock.
func (d *DB) Beat(ctx context.Context, replica uuid.UUID) error {
	return d.asUnsynced(ctx, roleFollow, func(tx *gorm.DB) error {
		return tx.Exec(`INSERT INTO replicas (id) VALUES (?)
			ON CONFLICT (id) DO UPDATE SET beat_at = now()`, replica).Error
	})
}

// Leave says that the replica has stopped: its calls may be adopted at once.
func (d *DB) Leave(ctx context.Context, replica uuid.UUID) error {
	return d.as(ctx, roleFollow, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Where("id = ?", replica).Delete(&models.Replica{}).Error
	})
}

// Orphans gives up to 100 living calls of replicas that have not beaten for
// deadAfter, oldest first.
func (d *DB) Orphans(ctx context.Context, deadAfter time.Duration) (calls []models.FollowedCall, err error) {
	err = d.as(ctx, roleFollow, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Where(`ended_at IS NULL AND replica_id NOT IN (
			SELECT id FROM replicas WHERE beat_at > now() - make_interval(secs => ?))`, deadAfter.Seconds()).
			Order("created_at, id").Limit(100).Find(&calls).Error
	})
	return calls, err
}

// HangUpsAsked gives the calls of the replica that ring or talk and that someone
// wants ended; before that, whoever has them taken by the PBX sees to it.
func (d *DB) HangUpsAsked(ctx context.Context, replica uuid.UUID) (calls []models.FollowedCall, err error) {
	err = d.as(ctx, roleFollow, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Where("replica_id = ? AND ended_at IS NULL AND rank > 0 AND hang_up_why IS NOT NULL", replica).Limit(1000).Find(&calls).Error
	})
	return calls, err
}

// Claim makes a living call the replica's own, unless another was quicker.
func (d *DB) Claim(ctx context.Context, id, from, to uuid.UUID) (ours bool, err error) {
	err = d.as(ctx, roleFollow, uuid.Nil, func(tx *gorm.DB) error {
		res := tx.Model(&models.FollowedCall{}).Where("id = ? AND replica_id = ? AND rank < 4", id, from).Update("replica_id", to)
		ours = res.RowsAffected == 1
		return res.Error
	})
	return ours, err
}

// PBXURL gives the sealed URL of a connection, or ErrNotFound.
func (d *DB) PBXURL(ctx context.Context, id uuid.UUID) (sealed []byte, err error) {
	var row models.PBXConnection
	err = d.as(ctx, roleFollow, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Where("id = ?", id).Take(&row).Error
	})
	return row.SealedURL, err
}

// ReplicasAlive says how many other replicas have beaten lately.
func (d *DB) ReplicasAlive(ctx context.Context, besides uuid.UUID) (n int64, err error) {
	err = d.as(ctx, roleFollow, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Model(&models.Replica{}).Where("id <> ? AND beat_at > now() - interval '10 seconds'", besides).Count(&n).Error
	})
	return n, err
}
