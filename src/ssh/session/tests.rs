use crate::ssh::testing::TestSession;

#[tokio::test]
async fn a_session_that_ends_tells_no_round_trip() {
    let test = TestSession::start().await;
    let round_trip = test.session().measure().await.expect("it answers");
    assert!(!round_trip.is_zero());
    assert!(test.session().health().delay().last().is_some());
    test.cut();
    test.session().closed().await;
    assert_eq!(test.session().measure().await, None);
}
