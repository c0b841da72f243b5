//! Every case by its name, once: a case that is not listed is dead code, and the compiler says so.

/// Makes what runs a case, and the macro that makes a test of each. `$d` is a dollar sign.
macro_rules! suite {
    ($d:tt $($group:ident { $($case:ident,)* })*) => {
        #[doc(hidden)]
        #[allow(missing_docs)]
        pub mod cases {
            $(pub mod $group {
                use $crate::conformance::{Driver, Fixture, $group as group};

                $(pub async fn $case(fixture: impl Fixture) {
                    let mut driver = Driver::new(fixture).await;
                    group::$case(&mut driver).await;
                    driver.check_invariants().await;
                })*
            })*
        }

        /// Makes a test of each case of the suite, given an expression that makes a
        /// [`Fixture`]($crate::conformance::Fixture). Needs `tokio` with its macros and its timer.
        #[macro_export]
        macro_rules! conformance_suite {
            ($d fixture:expr) => {
                $(mod $group {
                    #[allow(unused_imports)]
                    use super::*;

                    $(#[::tokio::test]
                    async fn $case() {
                        let case = $d crate::conformance::cases::$group::$case($d fixture);
                        // Long, because it is not what is tested: it only ends a test that would wait for ever.
                        let over = ::tokio::time::timeout(::std::time::Duration::from_secs(120), case).await;
                        assert!(over.is_ok(), "the store did not answer");
                    })*
                })*
            };
        }
    };
}

suite! {$
    about {
        the_store_is_bound_to_the_first_key,
        a_healthy_store_says_so,
    }
    catalogue {
        a_tenant_is_made_then_changed,
        a_topic_is_made_then_changed,
        an_endpoint_reads_back_whole,
        a_changed_endpoint_reads_back_whole,
        a_change_keeps_what_is_the_stores_own,
        a_stale_change_is_refused,
        what_does_not_exist_is_not_found,
        another_tenants_ids_are_not_found,
        an_id_with_a_wrong_digit_is_not_found,
        what_is_deleted_is_gone,
        a_deleted_tenants_id_begins_anew,
    }
    keys {
        a_key_is_found_by_the_digest_of_its_secret,
        a_key_is_created_once,
        keys_are_newest_first,
        a_deleted_key_opens_nothing,
    }
    audit {
        an_entry_reads_back_whole,
        an_entry_is_kept_once,
        entries_are_newest_first,
        the_oldest_entries_are_forgotten,
        what_tenants_did_pushes_out_nothing_of_others,
        an_entry_that_seems_old_is_kept_when_there_are_many,
    }
    paging {
        tenants_are_newest_first,
        topics_are_in_the_order_of_their_names,
        endpoints_are_newest_first,
        events_are_newest_first,
        deliveries_are_newest_first,
        pages_do_not_move_when_rows_are_added,
    }
    search {
        deliveries_are_found_by_each_condition,
        conditions_are_combined,
        who_is_not_there_is_not_searched,
        a_search_begins_at_none_but_its_own_cursors,
        what_a_deleted_tenant_left_is_not_found,
        each_tenants_keep_their_order_among_those_of_all,
        time_bounds_allow_for_clocks_that_differ,
        one_is_found_among_many,
        pages_of_a_search_do_not_move_when_rows_are_added,
        what_is_sent_to_one_more_endpoint_moves_no_pages,
        a_delivery_is_found_by_what_it_came_to_last,
        whatever_ends_badly_is_found,
        what_retention_removed_is_not_found,
        events_are_found_by_each_condition,
        what_is_sent_later_was_matched_after_all,
    }
    backlog {
        an_idle_store_has_no_backlog,
        what_is_open_is_counted,
        what_was_left_behind_is_not_counted,
        what_is_not_there_has_no_backlog,
    }
    stats {
        what_was_counted_adds_up,
        each_minute_and_each_hour_is_counted,
        subjects_are_kept_apart,
        many_are_counted_in_a_call,
        where_nothing_happened_is_nothing,
        what_was_counted_goes_with_its_tenant,
        what_is_old_is_forgotten,
    }
    views {
        a_view_shows_endpoints_and_topics,
        every_change_of_the_catalogue_makes_views_stale,
        what_is_no_change_of_it_leaves_views_fresh,
        a_new_tenants_view_is_not_the_deleted_ones,
    }
    intake {
        an_event_goes_to_each_endpoint,
        an_event_that_matched_nobody_is_kept,
        a_payload_comes_back_byte_for_byte,
        what_a_publisher_asked_for_comes_back,
        what_is_asked_for_does_not_tell_events_apart,
        a_repetition_is_answered_as_the_first_time,
        other_content_under_a_known_id_is_a_conflict,
        a_conflict_refuses_its_whole_batch,
        a_batch_may_repeat_itself,
        a_batch_may_not_contradict_itself,
        tenants_do_not_share_ids,
        a_disabled_endpoint_skips_and_a_paused_one_holds,
        anothers_endpoint_refuses_the_whole_batch,
    }
    leasing {
        a_lease_says_what_to_do,
        only_what_is_due_is_leased,
        an_endpoints_deliveries_come_in_the_order_of_their_times,
        a_delivery_is_leased_once,
        limits_are_kept,
        a_flood_does_not_starve_the_others,
        a_long_wait_is_not_lost_by_new_deliveries,
        next_due_is_when_there_is_more,
        nothing_due_is_left_behind,
    }
    delayed {
        an_event_waits_for_its_time,
        a_time_that_has_passed_is_at_once,
        deliveries_come_in_the_order_of_their_times,
        what_waits_for_its_time_at_a_closed_endpoint,
    }
    turns {
        each_endpoint_has_one_turn_in_a_call,
        a_turn_gives_no_more_than_the_endpoints_own_limits,
        new_limits_count_in_the_next_turn,
        a_tenant_gets_its_part_while_others_wait,
        a_tenant_that_is_alone_gets_all,
        a_tenant_gets_no_more_than_its_room,
        who_got_less_for_its_tenant_goes_behind_the_others,
        every_endpoint_of_a_crowded_tenant_has_its_turn,
        a_crowd_without_room_hides_nobody,
        what_happens_to_who_waits_for_room_counts,
        what_happens_to_who_waits_for_room_counts_after_a_crash,
        who_waits_for_room_does_not_go_first_when_there_is_some,
    }
    throttles {
        a_throttled_endpoint_gets_no_turn_before_its_time,
        a_throttle_bounds_what_a_call_gives,
        a_throttle_counts_until_another_is_given,
        a_newer_owners_recovery_lifts_throttles,
        a_throttle_for_no_endpoint_is_nothing,
        a_throttle_and_a_pause_are_both_kept,
        a_change_of_the_endpoint_lifts_its_throttle,
    }
    ordered {
        an_ordered_endpoint_gets_one_lease_at_a_time,
        what_is_tried_again_keeps_its_place,
        what_is_given_back_keeps_its_place,
        clocks_that_differ_a_little_keep_the_order,
        the_place_of_what_is_to_be_delivered_later_is_its_time,
        whatever_ends_the_first_lets_the_next_go,
        each_ordered_endpoint_has_its_own_order,
        an_ordered_endpoint_is_resumed_in_its_order,
        an_endpoint_may_become_ordered_and_cease_to_be,
        manual_attempts_go_beside_the_order,
        what_is_sent_once_more_stands_where_its_event_does,
    }
    parking {
        a_parked_endpoint_waits_for_its_time,
        a_shorter_pause_does_not_shorten_a_longer,
        a_pause_may_come_with_a_settlement,
        a_new_url_or_state_lifts_a_pause,
        a_parked_endpoint_is_leased_as_it_is_shown,
    }
    settling {
        every_decision_leads_to_its_state,
        what_was_not_attempted_is_not_charged,
        the_last_status_outlives_a_silence,
        attempts_read_back_whole,
        settling_again_changes_nothing,
        settling_twice_in_a_call_counts_once,
        a_call_settles_each_for_itself,
        a_stale_lease_writes_its_attempt_and_no_state,
        a_late_attempt_does_not_disturb_the_live_lease,
        what_was_never_leased_is_not_settled,
    }
    manual {
        a_manual_attempt_is_leased_at_once,
        a_manual_attempt_that_failed_changes_nothing_else,
        a_manual_attempt_that_was_not_made_changes_nothing,
        a_success_delivers_whatever_the_state_was,
        asking_twice_is_two_attempts,
        manual_attempts_come_first_and_are_bounded,
        neither_pause_nor_throttle_holds_a_manual_attempt_up,
        a_closed_endpoint_is_attempted_only_by_force,
        what_was_asked_for_is_forgotten_where_the_endpoint_closes,
        what_was_asked_for_is_forgotten_where_all_is_gone,
        what_was_asked_for_is_forgotten_where_it_is_given_up,
        what_was_asked_for_before_it_was_given_up_is_not_made_once_it_is_open,
        nothing_can_be_asked_for_what_is_not_there,
        what_was_asked_for_survives_a_crash,
        an_interrupted_manual_attempt_is_recorded_and_not_made_again,
        a_manual_lease_lives_as_long_as_any_other,
        manual_and_automatic_leases_are_given_back_together,
        a_manual_attempt_does_to_its_endpoint_what_any_does,
        a_manual_attempt_of_what_was_removed_is_nothing,
    }
    cancelling {
        what_waits_can_be_given_up,
        the_lease_of_what_is_given_up_ends,
        what_is_given_up_is_not_given_back,
        what_is_over_cannot_be_given_up,
        what_is_not_there_cannot_be_given_up,
        giving_up_is_no_change_of_the_endpoint,
    }
    sending {
        an_event_is_sent_to_one_more_endpoint,
        what_was_sent_stands_with_its_event,
        an_event_is_sent_to_an_endpoint_once,
        what_is_sent_to_a_closed_endpoint,
        what_is_not_there_cannot_be_sent,
        what_is_sent_does_not_wait_for_its_events_time,
    }
    reopening {
        whatever_is_over_can_be_opened_again,
        the_retry_policy_begins_anew,
        what_is_open_stays_as_it_is,
        at_a_closed_endpoint_nothing_is_opened,
        at_a_paused_endpoint_it_is_held,
        a_pause_that_the_endpoint_asked_for_counts,
        what_is_not_there_cannot_be_opened,
        each_is_opened_for_itself,
        what_was_not_over_before_a_time_is_passed_over,
        many_are_opened_in_a_call,
        what_is_opened_again_survives_a_crash,
        opening_is_no_change_of_the_endpoint,
        what_is_opened_again_waits_for_its_events_time,
        a_job_passes_over_what_was_only_a_test,
        at_an_ordered_endpoint_it_takes_the_place_of_its_event,
        at_an_ordered_endpoint_it_takes_the_place_that_it_had,
        retention_keeps_what_was_opened_again,
        retention_follows_a_delivery_that_ends_twice,
        what_was_settled_before_changes_nothing,
        a_lease_that_ended_stays_ended,
        a_late_success_does_not_end_what_was_opened_again,
        a_crash_gives_back_what_was_opened_again_once,
        a_manual_attempt_may_end_what_was_opened_again,
        a_manual_attempt_that_failed_leaves_it_open,
        a_crash_gives_back_both_kinds_of_attempts,
    }
    replays {
        a_replay_reads_back_whole,
        a_replay_is_created_once,
        so_many_replays_of_a_tenant_run_at_a_time,
        the_oldest_replays_that_are_over_go,
        a_replay_changes_by_its_version,
        replays_are_newest_first,
        each_partition_has_its_tenants_running_replays,
        a_replay_that_is_not_there_is_missing,
        replays_go_with_their_tenant,
    }
    health {
        failures_are_counted_from_the_first_on,
        failures_of_one_call_add_up,
        a_success_ends_what_was_noted,
        what_says_nothing_of_it_leaves_health,
        warnings_only_grow,
        a_lease_shows_the_health_of_its_endpoint,
        a_stale_settlement_counts_nothing,
        a_new_url_or_state_makes_an_endpoint_well,
        what_is_noted_of_its_health_is_no_change_of_an_endpoint,
        a_deleted_endpoint_has_no_health,
        what_an_attempt_says_of_a_changed_endpoint_is_old,
    }
    notices {
        everything_that_operators_are_to_be_told,
        a_settlement_may_leave_several_notices,
        nothing_is_told_twice,
        what_is_no_news_leaves_no_notice,
        an_operators_change_ends_what_was_told,
        a_settlement_that_is_repeated_leaves_no_second_notice,
        notices_are_read_until_they_are_forgotten,
        every_partition_has_its_own_notices,
    }
    closing {
        disabling_skips_what_is_open,
        deleting_cancels_what_is_open,
        what_is_in_flight_may_still_arrive,
        a_deleted_tenants_deliveries_end,
        gone_disables_the_endpoint,
        gone_changes_nothing_of_a_disabled_endpoint,
        pausing_holds_and_enabling_releases_in_order,
        a_retry_at_a_paused_endpoint_is_held,
        enabling_does_not_revive_what_was_skipped,
    }
    ownership {
        a_partition_has_one_owner,
        an_old_epoch_is_fenced_off,
        renewing_keeps_a_partition,
        who_was_not_overtaken_goes_on,
        releasing_frees_a_partition,
        who_is_asked_to_spare_leases_is_free_to_lease,
        epochs_grow_across_a_crash,
        attending_lists_who_is_there,
        who_attends_no_more_is_forgotten,
        who_leaves_is_not_there,
    }
    recovery {
        what_is_acknowledged_survives_a_crash,
        what_was_in_flight_stays_so_until_it_is_recovered,
        recovery_gives_back_what_was_in_flight,
        recovery_spares_what_was_settled,
        recovery_knows_late_attempts,
        an_idle_endpoint_is_held_back_after_a_crash,
        an_old_epochs_leases_are_given_back_at_once,
        expired_leases_are_given_back,
        recovery_ends_what_belongs_to_a_closed_endpoint,
        an_older_leases_settlement_counts_until_recovery,
        what_a_released_epoch_leased_is_spared_until_its_time,
        what_is_spared_can_be_settled,
        releasing_again_moves_the_time,
        every_released_epoch_has_its_own_time,
        what_was_not_released_is_not_spared,
    }
    waking {
        whatever_makes_deliveries_due_wakes,
        whatever_is_done_by_hand_wakes,
        the_end_of_one_wakes_for_the_next_in_order,
    }
    retention {
        what_is_over_is_removed,
        what_is_open_is_kept,
        one_failure_keeps_an_event_longer,
        an_events_own_period_counts_instead,
        what_is_sent_again_keeps_its_event,
        what_was_given_up_or_delivered_by_hand_is_over,
        an_unmatched_event_is_over_when_accepted,
        a_cursor_goes_on,
        a_strange_cursor_is_refused,
        what_is_removed_leaves_nothing,
        a_removed_delivery_lends_its_id_to_no_other,
        events_of_a_deleted_tenant_are_removed,
    }
}
