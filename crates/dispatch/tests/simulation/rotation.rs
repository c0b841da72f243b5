use posthaste_model::{Endpoint, EndpointSecret, Timestamp};
use posthaste_signing::{Secret, VerifyError};

use crate::{reckoning::verified, world::World};

/// Sends an event, and says with how many signatures it came and which of the secrets verify it.
async fn signed<const N: usize>(
    world: &mut World,
    endpoint: &Endpoint,
    secrets: [&Secret; N],
) -> (usize, [bool; N]) {
    let number = world.events.len();
    world.accept(&format!("evt_{number}"), &[endpoint]).await;
    world.until(|seen| seen.delivered() == number + 1).await;
    let sent = world.seen().requests[number].clone();
    let verifies = |secret| match verified(&sent, secret) {
        Ok(()) => true,
        Err(VerifyError::NoMatch) => false,
        Err(error) => panic!("{error}: {sent:?}"),
    };
    (sent.header("webhook-signature").unwrap().split(' ').count(), secrets.map(verifies))
}

/// Gives an endpoint a new secret; the ones before sign until `overlap` is over.
async fn rotate(world: &World, endpoint: &Endpoint, overlap: Timestamp) -> Secret {
    let (secret, sealed) = world.secret(endpoint.id);
    let change = |endpoint: &mut Endpoint| {
        for retiring in &mut endpoint.secrets {
            retiring.expires_at = Some(retiring.expires_at.unwrap_or(overlap).min(overlap));
        }
        endpoint.secrets.insert(0, EndpointSecret { sealed, expires_at: None });
    };
    world.change(endpoint, change).await;
    secret
}

#[tokio::test(start_paused = true)]
async fn a_retiring_secret_signs_until_its_overlap_ends() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let first = world.endpoints[&endpoint.id].1.clone();
    let _process = world.start("one");
    world.pass(1).await;
    let (unrelated, _) = world.secret(endpoint.id);
    assert_eq!(signed(&mut world, &endpoint, [&first, &unrelated]).await, (1, [true, false]));

    let ends = world.clock.now() + std::time::Duration::from_secs(100);
    let second = rotate(&world, &endpoint, ends).await;
    assert_eq!(signed(&mut world, &endpoint, [&second, &first]).await, (2, [true, true]));
    world.pass(50).await;
    let third = rotate(&world, &endpoint, ends + std::time::Duration::from_secs(100)).await;
    assert_eq!(signed(&mut world, &endpoint, [&third, &second, &first]).await, (3, [true; 3]));

    // Nothing of the endpoint changes any more, but time passes.
    tokio::time::sleep(std::time::Duration::from_millis(49_999)).await;
    assert_eq!(signed(&mut world, &endpoint, [&third, &second, &first]).await, (3, [true; 3]));
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    assert_eq!(signed(&mut world, &endpoint, [&third, &second, &first]).await, (2, [true, true, false]));
    world.pass(100).await;
    assert_eq!(signed(&mut world, &endpoint, [&third, &second, &first]).await, (1, [true, false, false]));
}

#[tokio::test(start_paused = true)]
async fn a_replaced_secret_stops_signing_at_once() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let first = world.endpoints[&endpoint.id].1.clone();
    let _process = world.start("one");
    assert_eq!(signed(&mut world, &endpoint, [&first]).await, (1, [true]));
    let now = world.clock.now();
    let second = rotate(&world, &endpoint, now).await;
    assert_eq!(signed(&mut world, &endpoint, [&second, &first]).await, (1, [true, false]));
}
