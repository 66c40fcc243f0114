/* Schedules as lists, checked without a pipeline: completeness, order, micro-batches in flight, and
 * that stages which wait for each other as pipeline_schedule.h says come to an end. */
#include "harness.h"
#include "train/pipeline_schedule.h"

enum { MOST_STAGES = 8, MOST_BATCHES = 20 };
static struct error err;

struct lists {
    int stages;
    int64_t micro_batches;
    struct pipeline_schedule of[MOST_STAGES];
};

static void make(struct lists *l, int stages, int64_t micro_batches) {
    l->stages = stages;
    l->micro_batches = micro_batches;
    harness_context("%d stages, %d micro-batches", stages, (int)micro_batches);
    for (int s = 0; s < stages; s++)
        CHECK_OK(pipeline_schedule_1f1b(&l->of[s], s, stages, micro_batches, &err), &err);
}

static void for_all_sizes(void (*check)(const struct lists *l)) {
    struct lists l = {0};
    for (int stages = 1; stages <= MOST_STAGES; stages++) {
        for (int64_t n = 0; n <= MOST_BATCHES; n++) {
            make(&l, stages, n);
            check(&l);
        }
    }
    for (int s = 0; s < MOST_STAGES; s++) pipeline_schedule_free(&l.of[s]);
}

/* ---- each list ---- */

/* Forwards and backwards in the order of the micro-batches, one of each, the backward later. */
static void check_order(const struct lists *l) {
    for (int s = 0; s < l->stages; s++) {
        int64_t next[2] = {0, 0};
        for (int64_t i = 0; i < l->of[s].count; i++) {
            const struct pipeline_action a = l->of[s].actions[i];
            CHECK_EQ(a.micro_batch, next[a.kind]++);
            CHECK(next[PIPELINE_BACKWARD] <= next[PIPELINE_FORWARD]);
        }
        CHECK_EQ(next[PIPELINE_FORWARD], l->micro_batches);
        CHECK_EQ(next[PIPELINE_BACKWARD], l->micro_batches);
    }
}
static void every_micro_batch_goes_forward_and_back_in_order(void) { for_all_sizes(check_order); }

static void check_slots(const struct lists *l) {
    for (int s = 0; s < l->stages; s++) {
        const int slots = pipeline_slots_1f1b(s, l->stages);
        int64_t held[MOST_STAGES];
        for (int i = 0; i < slots; i++) held[i] = -1;
        for (int64_t i = 0; i < l->of[s].count; i++) {
            const struct pipeline_action a = l->of[s].actions[i];
            CHECK(a.slot >= 0 && a.slot < slots);
            CHECK_EQ(held[a.slot], a.kind == PIPELINE_FORWARD ? -1 : a.micro_batch);
            held[a.slot] = a.kind == PIPELINE_FORWARD ? a.micro_batch : -1;
        }
    }
}
static void a_slot_holds_one_micro_batch_at_a_time(void) { for_all_sizes(check_slots); }

/* Warm-up, then one forward and one backward in turn, then the rest: no more in flight than that.
 */
static void check_warmup(const struct lists *l) {
    for (int s = 0; s < l->stages; s++) {
        const int64_t warmup = l->stages - 1 - s;
        int64_t in_flight = 0, most = 0, before = 0;
        for (int64_t i = 0; i < l->of[s].count; i++) {
            const bool is_forward = l->of[s].actions[i].kind == PIPELINE_FORWARD;
            in_flight += is_forward ? 1 : -1;
            if (in_flight > most) most = in_flight;
            if (most == in_flight && is_forward) before = i;
        }
        const int64_t expected = warmup + 1 < l->micro_batches ? warmup + 1 : l->micro_batches;
        CHECK_EQ(most, expected);
        CHECK_EQ(in_flight, 0);
        /* The last forward that fills it stands where all are through but the last `warmup`. */
        if (l->micro_batches > 0)
            CHECK_EQ(before, l->micro_batches > warmup ? 2 * l->micro_batches - 2 - warmup
                                                       : l->micro_batches - 1);
    }
}
static void the_warmup_is_as_deep_as_the_stages_behind(void) { for_all_sizes(check_warmup); }

static void the_lists_are_those_of_the_paper(void) {
    static const char *const expected[] = {"F0 F1 F2 B0 F3 B1 B2 B3 ", "F0 F1 B0 F2 B1 F3 B2 B3 ",
                                           "F0 B0 F1 B1 F2 B2 F3 B3 "};
    struct lists l = {0};
    make(&l, 3, 4);
    for (int s = 0; s < 3; s++) {
        char text[64] = "";
        for (int64_t i = 0; i < l.of[s].count; i++) {
            const struct pipeline_action a = l.of[s].actions[i];
            text[3 * i] = "FB"[a.kind];
            text[3 * i + 1] = (char)('0' + a.micro_batch);
            text[3 * i + 2] = ' ';
        }
        CHECK_STR(text, expected[s]);
        pipeline_schedule_free(&l.of[s]);
    }
}

/* ---- all lists together ---- */

/* Stages that act when they may: how far each has begun and ended its list. */
struct play {
    const struct lists *lists;
    int64_t begun[MOST_STAGES], ended[MOST_STAGES];
};

/* Whether a stage has begun (or ended) an action; true for what stands on no list. */
static bool has_come(const struct play *p, int stage, enum pipeline_kind kind, int64_t micro_batch,
                     bool is_end) {
    if (stage < 0 || stage >= p->lists->stages || micro_batch < 0) return true;
    const struct pipeline_schedule *list = &p->lists->of[stage];
    const int64_t until = is_end ? p->ended[stage] : p->begun[stage];
    for (int64_t i = 0; i < until; i++)
        if (list->actions[i].kind == kind && list->actions[i].micro_batch == micro_batch)
            return true;
    return false;
}

/* The micro-batch that was in the slot of action `i` before; -1: none. */
static int64_t slot_before(const struct pipeline_schedule *list, int64_t i) {
    for (int64_t k = i - 1; k >= 0; k--)
        if (list->actions[k].slot == list->actions[i].slot) return list->actions[k].micro_batch;
    return -1;
}

/* Whether stage s may begin its next action, or end the one that it has begun. */
static bool may_go_on(const struct play *p, int s) {
    const struct pipeline_schedule *list = &p->lists->of[s];
    if (p->ended[s] == list->count) return false;
    const bool is_begun = p->begun[s] > p->ended[s];
    const struct pipeline_action *a = &list->actions[p->ended[s]];
    const bool is_forward = a->kind == PIPELINE_FORWARD;
    if (is_begun)
        return has_come(p, is_forward ? s + 1 : s - 1, a->kind, a->micro_batch - 1, false);
    if (!is_forward) return has_come(p, s + 1, a->kind, a->micro_batch, true);
    return has_come(p, s - 1, a->kind, a->micro_batch, true) &&
           has_come(p, s - 1, PIPELINE_BACKWARD, slot_before(list, p->ended[s]), false);
}

static bool go_on(struct play *p) {
    bool has_moved = false;
    for (int s = 0; s < p->lists->stages; s++) {
        while (may_go_on(p, s)) {
            if (p->begun[s] > p->ended[s])
                p->ended[s]++;
            else
                p->begun[s]++;
            has_moved = true;
        }
    }
    return has_moved;
}

static void check_end(const struct lists *l) {
    struct play p = {.lists = l};
    while (go_on(&p)) continue;
    for (int s = 0; s < l->stages; s++) CHECK_EQ(p.ended[s], l->of[s].count);
}
static void nobody_waits_for_himself(void) { for_all_sizes(check_end); }

/* The check sees what is no schedule: a first stage that waits for its backward too early. */
static void a_list_that_locks_up_is_seen(void) {
    struct lists l = {0};
    make(&l, 2, 2);
    struct pipeline_action *last = l.of[1].actions;
    const struct pipeline_action backward = last[1];
    last[1] = last[2];
    last[1].slot = 1;
    last[2] = backward; /* F0 F1 B0 B1, against F0 B0 F1 B1 before it */
    struct pipeline_action *first = l.of[0].actions;
    const struct pipeline_action forward = first[1];
    first[1] = first[2];
    first[2] = forward;
    struct play p = {.lists = &l};
    while (go_on(&p)) continue;
    CHECK(p.ended[0] < l.of[0].count);
    for (int s = 0; s < 2; s++) pipeline_schedule_free(&l.of[s]);
}

static const struct test tests[] = {
    TEST(every_micro_batch_goes_forward_and_back_in_order),
    TEST(a_slot_holds_one_micro_batch_at_a_time),
    TEST(the_warmup_is_as_deep_as_the_stages_behind),
    TEST(the_lists_are_those_of_the_paper),
    TEST(nobody_waits_for_himself),
    TEST(a_list_that_locks_up_is_seen),
};
HARNESS_MAIN(tests)
