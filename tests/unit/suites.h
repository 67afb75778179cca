/* Each adds its CUnit suites to the registry. */
#ifndef TESTS_UNIT_SUITES_H
#define TESTS_UNIT_SUITES_H

/* The thread sanitizer takes its time, and has nothing to show where no threads are started. */
#ifdef __SANITIZE_THREAD__
#define THREADS_ONLY 1
#else
#define THREADS_ONLY 0
#endif

void test_format(void);
void test_archive(void);
void test_mutation(void);
void test_input(void);
void test_random(void);
void test_bits(void);
void test_clusterset(void);
void test_sums(void);
void test_proof(void);
void test_drive_marks(void);
void test_proved(void);
void test_changelist(void);
void test_qcow2(void);
void test_bitmapfile(void);
void test_feed(void);
void test_salvage(void);
void test_drive(void);
void test_turns(void);
void test_overlay(void);
void test_volume(void);
void test_pace(void);
void test_identity(void);
void test_qemuimg(void);
void test_buffer(void);
void test_buffer_spill(void);
void test_capture(void);
void test_capture_model(void);
void test_generation(void);
void test_generation_elsewhere(void);
void test_generation_killed(void);
void test_generation_marks(void);
void test_mirror(void);
void test_mirror_qemu(void);
void test_moves(void);
void test_map_log(void);
void test_checkpoints(void);
void test_nbd_server(void);
void test_target(void);
void test_target_device(void);
void test_walk(void);
void test_output(void);
void test_create(void);
void test_cli(void);
void test_keep(void);
void test_json(void);
void test_child(void);
void test_stop(void);
void test_guard(void);
void test_sandbox(void);
void test_names(void);
void test_unread(void);
void test_receive(void);
void test_qmp(void);
void test_store(void);
void test_live(void);
void test_nbd_whole(void);
void test_nbd_client(void);

#endif
