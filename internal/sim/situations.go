package sim

// A situation is one that must occur in every batch of seeds: promises that
// hold only because nothing happened prove nothing. The first 37 are those of
// docs/timelines.md, in its order.
type situation uint8

// The situations.
const (
	seenLostReply         situation = iota // 1
	seenGapAfterReply                      // 2
	seenOldLinkAtNew                       // 3
	seenEpochLearnedLater                  // 4
	seenOnceAfterFreeze                    // 5
	seenFirstTryNotFirst                   // 6
	seenEmptyWakeUp                        // 7
	seenBackInGrace                        // 8
	seenLateClaim                          // 9
	seenHandover                           // 10
	seenFetchLost                          // 11
	seenGone                               // 12
	seenRetryAtSame                        // 13
	seenOwnCancel                          // 14
	seenSameFence                          // 15
	seenOneWayLink                         // 16
	seenBodyBrought                        // 17
	seenCancelOvertakes                    // 18
	seenRefusalRaised                      // 19
	seenExpiredAfterLoss                   // 20
	seenForeignCancel                      // 21
	seenStaleRemaining                     // 22
	seenPoison                             // 23
	seenReadyInParts                       // 24
	seenStuckSlot                          // 25
	seenDrainRace                          // 26
	seenTwoRestarts                        // 27
	seenResetThenStart                     // 28
	seenTakenUp                            // 29
	seenListBehind                         // 30
	seenCancelAtWelcome                    // 31
	seenWaitBeyondLease                    // 32
	seenHandedBackAgain                    // 33
	seenInterestRenewed                    // 34
	seenLastTryCut                         // 35
	seenTwoRoutes                          // 36
	seenIDOnly                             // 37
	seenLateReplyUsed
	seenReplyAfterRedelivery
	seenCancelRacesReply
	seenExpiryInFlight
	seenDuplicateReady
	seenClaimInWindow
	seenParts
	seenPartsAgain
	seenStopBeforeDeciding
	seenStopBeforeSending
	seenStopBeforeStarting
	seenStopBeforeSaying
	seenStopBeforeAsking
	seenOutOfTurn
	seenRefusedReply
	seenUnanswerable
	seenLimitShrinks
	seenOtherServices
	seenManyWorkers
	seenOperator
	seenRequeuedDead
	seenFullReader
	seenForgotten
	seenForgottenAgain
	situations
)

var situationNames = [situations]string{
	"a lost reply looks like a lost dispatch", "a message behind a lost reply", "an old link's message at a new broker",
	"the epoch learned between two tries", "at most once, read after the broker stood still", "a first try that is not the first",
	"the broker wakes up to empty sockets", "a cut worker is back within the grace", "a claim late in the window",
	"a half-open cut, same routing id", "a fetch is lost, or answered GONE", "the reply is no longer kept",
	"a retry at the same worker", "the broker's own cancel comes back as FAILED", "one attempt number, two epochs",
	"a link that takes nothing", "a body comes after its worker was lost", "CANCEL overtakes REQUEST",
	"a refusal after what may have run", "expired in the queue after a loss", "a cancel of a foreign id",
	"a dispatch too old to start", "a poison and its neighbours", "READY in parts", "a slot that does not come back",
	"a retry at a draining broker", "adopted by two brokers in a row", "started after its link was reset",
	"an id taken up by a new client", "a list that is behind a hand-over", "a CANCEL right behind WELCOME",
	"a wait longer than the lease", "handed back, its context was over", "interest counted anew", "a disconnect eats the last try",
	"two instances hear one outcome", "a withdrawn id announced to a new broker",
	"a late reply is used", "a reply after redelivery", "a cancel races a reply", "expired in flight", "READY twice", "a claim in the window",
	"a reply in parts", "a reply in parts begins again",
	"the broker stands still between reading and deciding", "the broker stands still between deciding and sending",
	"a worker stands still between deciding and starting", "a worker stands still between deciding and sending",
	"a client stands still between deciding and sending",
	"a lower priority has its turn before a higher one", "a reply that cannot be read", "a reply that is too large",
	"a reply made for a larger limit", "a worker comes back and serves something else", "more than 64 workers, and one of them is lost",
	"an operator cancels a request", "a dead letter is queued again",
	"the queue of a slow reader is full", "nobody asks again in time, and it is forgotten", "what was forgotten has run, and is asked for again",
}

type seenSet [situations]int
