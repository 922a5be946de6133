// Package feed carries changes from one service to all who follow it, and loses none.
//
// A command writes its event to the outbox in the statement of its effect. The Sequencer moves events, once
// visible, into the dense table feed. The Server reads that table once per process and hands the events to any
// number of subscribers, each by its own filter and audience. A Follower consumes another service's feed and
// applies each event exactly once: its cursor moves in the transaction of the effect.
package feed
