//! The delay at which a live stream is shown: that of the slowest healthy viewer, and a margin.

use proto::limits::ROOM_DELAY_US;
use proto::room::Timeline;
use proto::time::Stamp;

use super::{Member, Room};

/// The delay before anybody said what it needs, microseconds.
pub(super) const FIRST_US: u32 = 500_000;
/// More than the slowest needs, microseconds.
const MARGIN_US: u32 = 100_000;
/// Who needs more is left behind, microseconds.
const HEALTHY_US: u32 = 10_000_000;
/// Who is not ready for so long is left behind, microseconds.
const UNREADY_US: i64 = 3_000_000;
/// It grows at most so often, microseconds.
const GROW_EVERY_US: i64 = 1_000_000;
/// It shrinks when less was enough for so long, microseconds.
const SHRINK_AFTER_US: i64 = 30_000_000;
/// By no less than this, microseconds.
const SHRINK_US: u32 = 100_000;
/// Delays are multiples of this, microseconds.
const STEP_US: u32 = 10_000;

/// How the delay came to be.
#[derive(Clone, Debug, Default)]
pub(super) struct Delay {
    /// When it was last changed; `None`: nobody said yet what it needs.
    changed: Option<Stamp>,
    /// Less is enough since then, and how much at most.
    less: Option<(Stamp, u32)>,
}

impl Room {
    pub(super) fn delay_due(&self) -> Option<Stamp> {
        if !self.is_live() || !self.is_anyone_here() {
            return None;
        }
        let members = self.members.iter().filter(|m| m.seat.is_some() && !m.behind);
        let unready = members.filter_map(|m| m.unready_since).map(|at| at.plus_us(UNREADY_US));
        let grow = self.wanted().filter(|wanted| *wanted > self.timeline.delay_us);
        let grow = grow.map(|_| self.delay.changed.map_or(self.since, after_pause));
        let less = self.delay.less.map(|(since, _)| since.plus_us(SHRINK_AFTER_US));
        unready.chain(grow).chain(less).min()
    }

    pub(super) fn settle_delay(&mut self, now: Stamp) {
        if !self.is_live() || !self.is_anyone_here() {
            return;
        }
        self.members.iter_mut().for_each(|member| member.behind = is_ill(member, now));
        let Some(wanted) = self.wanted() else {
            self.delay.less = None;
            return;
        };
        let delay_us = self.timeline.delay_us;
        if self.delay.changed.is_none() {
            return self.show_after(wanted, now);
        }
        if wanted > delay_us {
            self.delay.less = None;
            if self.delay.changed.is_none_or(|at| after_pause(at) <= now) {
                self.show_after(wanted, now);
            }
        } else if wanted.saturating_add(SHRINK_US) > delay_us {
            self.delay.less = None;
        } else {
            let (since, most) = self.delay.less.unwrap_or((now, 0));
            self.delay.less = Some((since, most.max(wanted)));
            if now.us_since(since) >= SHRINK_AFTER_US {
                self.show_after(most.max(wanted), now);
            }
        }
    }

    /// What is enough for all who are well; `None` as long as nobody said.
    fn wanted(&self) -> Option<u32> {
        let members = self.members.iter().filter(|m| m.seat.is_some() && !m.behind);
        let needs = members.filter_map(|member| member.report).map(|report| report.needs_us);
        let most = needs.filter(|us| *us > 0).max()?.saturating_add(MARGIN_US);
        let most = most.div_ceil(STEP_US).saturating_mul(STEP_US);
        Some(most.min(u32::try_from(ROOM_DELAY_US).unwrap_or(u32::MAX)))
    }

    fn show_after(&mut self, delay_us: u32, now: Stamp) {
        self.delay = Delay { changed: Some(now), less: None };
        if delay_us != self.timeline.delay_us {
            self.turn(Timeline { delay_us, ..self.timeline }, now);
        }
    }
}

fn after_pause(changed: Stamp) -> Stamp {
    changed.plus_us(GROW_EVERY_US)
}

fn is_ill(member: &Member, now: Stamp) -> bool {
    let needs_much = member.report.is_some_and(|report| report.needs_us > HEALTHY_US);
    needs_much || member.unready_since.is_some_and(|at| now.us_since(at) >= UNREADY_US)
}
