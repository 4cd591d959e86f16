package xrow

// IDs of system spaces. Their names begin with _, and a view with _v. Tarantool:
// src/box/schema_def.h.
const (
	SpaceSchema          = 272 // [key, value ...]
	SpaceCollation       = 276
	SpaceSpace           = 280
	SpaceSequence        = 284
	SpaceSequenceData    = 285
	SpaceIndex           = 288
	SpaceFunc            = 296
	SpaceUser            = 304
	SpacePriv            = 312
	SpaceCluster         = 320 // [id, uuid, name, incarnation, learner]; the last two are ours
	SpaceTrigger         = 328
	SpaceTruncate        = 330
	SpaceSpaceSequence   = 340
	SpaceFkConstraint    = 356
	SpaceCkConstraint    = 364
	SpaceFuncIndex       = 372
	SpaceSessionSettings = 380 // rows are a session's own
	SpaceGcConsumers     = 388 // how far Tarantool members need the log
	SpaceRecoveryPoint   = 396

	ViewCollation     = 277
	ViewSpace         = 281
	ViewSequence      = 286
	ViewIndex         = 289
	ViewFunc          = 297
	ViewUser          = 305
	ViewPriv          = 313
	ViewSpaceSequence = 341
)

// ViewHistory, _vtarragon_history, is the history of leaders: a view that no row defines.
// Its ID is beyond those that rows can give, LastSpace of them.
const ViewHistory = 1<<31 + 1

// Limits of space IDs.
const (
	LastInternalSpace = 256 // up to here none is a system space
	FirstUserSpace    = 512
	FirstTempSpace    = 1 << 30 // of those that are of type temporary
	LastSpace         = 2147483646
)
