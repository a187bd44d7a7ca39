//! What the server says, and whether it is right.

use std::time::Duration;

use bytes::BufMut;
use milepost_protocol_gt06::Frame;

use super::super::command;
use super::super::stats::{Kind, Wrong};
use super::super::wire::{self, Reply};
use super::{Link, Tracker};

impl Tracker {
    /// Takes what the server sent. An error is the end of the connection.
    pub(crate) fn received(&mut self, now: Duration, bytes: &[u8]) -> Result<(), Wrong> {
        self.received.put_slice(bytes);
        while let Some(reply) = wire::next_reply(&mut self.received) {
            match reply {
                Reply::Frame(frame) => self.reply(now, &frame),
                Reply::Checksum => self.journal.wrong(Wrong::Checksum),
                Reply::Garbage => {
                    self.journal.wrong(Wrong::Garbage);
                    return Err(Wrong::Garbage);
                }
            }
        }
        Ok(())
    }

    fn reply(&mut self, now: Duration, frame: &Frame) {
        let number = frame.number();
        match number {
            wire::COMMAND => return self.obey(now, frame),
            // Optional after an alarm; nobody here asks for addresses.
            wire::ADDRESS | wire::ADDRESS_CHINESE => return,
            _ => {}
        }
        let serial = frame.serial().unwrap_or(0);
        if !frame.body().is_empty() {
            self.journal.wrong(Wrong::Content);
            return;
        }
        let asked = self
            .questions
            .iter()
            .position(|question| (question.number, question.serial) == (number, serial));
        let Some(index) = asked else {
            match self.recent.iter().position(|r| *r == (number, serial)) {
                Some(index) => {
                    self.recent.remove(index);
                    self.journal.unneeded();
                }
                None => self.journal.wrong(Wrong::Unasked),
            }
            return;
        };
        let question = self.questions.remove(index);
        if question.fact.is_none() {
            self.unanswered_in_a_row = 0;
            // Replies come in order, so older questions of the kind will not be answered.
            let missed = self.questions.extract_if(.., |older| {
                older.kind == question.kind && older.asked < question.asked
            });
            for older in missed.collect::<Vec<_>>() {
                self.journal.unanswered(older.kind);
                self.remember(older.number, older.serial);
            }
        }
        if question.kind == Kind::Login && self.link == Link::LoggingIn {
            self.link = Link::Online;
            self.next_heartbeat = self.next_heartbeat.max(self.own_time(now));
        }
        let waited = now.saturating_sub(question.asked);
        match question.fact {
            None => self
                .journal
                .acknowledged(now, self.id, question.kind, None, waited),
            // Acknowledged already under another serial number: nothing new.
            Some(order) => {
                if let Some(fact) = self.in_flight.remove(&order) {
                    self.journal
                        .acknowledged(now, self.id, question.kind, fact.key, waited);
                    // Replies to its repetitions may still come, or not.
                    let others: Vec<_> = self
                        .questions
                        .extract_if(.., |other| other.fact == Some(order))
                        .collect();
                    for other in others {
                        self.remember(other.number, other.serial);
                    }
                }
            }
        }
    }

    fn obey(&mut self, now: Duration, frame: &Frame) {
        let Some((flag, text)) = wire::command(frame) else {
            self.journal.wrong(Wrong::Content);
            return;
        };
        self.journal.command();
        let seen = self.vehicle.observe();
        let place = (seen.latitude, seen.longitude);
        let answer = command::obey(text, &mut self.condition, place);
        let serial = self.next_serial();
        let frame = wire::command_answer(serial, flag, &answer);
        self.journal
            .sent(now, self.id, Kind::Answer, None, &frame, false);
        self.remember(wire::COMMAND_ANSWER, serial);
        self.out.put_slice(&frame);
    }
}
